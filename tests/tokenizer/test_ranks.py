"""Two processes with half of a batch each learn what one process learns from the whole batch."""

import datetime

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from soke.tokenizer import QUANTIZERS
from soke.tokenizer.ranks import BatchShare, own_rows
from tests.tokenizer.models import THREE_PARTS, clips_of, padded, tokenizer_of, train_step

STEPS = 5
#: Frames of the clips of rank 0 and of rank 1: unequal numbers of clips, steps and padding; the
#: first rank and the whole batch lay their clips into one row, the second pads.
LENGTHS = ([32, 8, 120, 8], [16, 12])
MANY_CODES = [{**row, "codebook_size": 64} for row in THREE_PARTS]
#: Every quantizer; and a codebook with more codes than the first batch has steps (49).
CASES = {kind: {"quantizer": kind} for kind in QUANTIZERS} | {"few rows": {"rows": MANY_CODES}}


def train(model, clips, across_ranks):
    # A large eps: where a gradient is zero but for rounding, Adam would follow the rounding.
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, eps=1e-3)
    trace = []
    for step in range(STEPS):
        _, output = train_step(model, optimizer, clips(step), across_ranks)
        trace.append({"perplexity": output.perplexity, "codes_used": output.codes_used})
    return trace


def clips_of_rank(rank):
    return lambda step: clips_of(LENGTHS[rank], seed=10 * step + rank)


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=60),
    )
    results = {}
    for case, arguments in CASES.items():
        # Other start weights on the second rank: DistributedDataParallel sends those of the first.
        model = DistributedDataParallel(tokenizer_of(**arguments, seed=rank))
        trace = train(model, clips_of_rank(rank), across_ranks=True)
        model = model.module.eval()
        if rank == 0:  # evaluation on one rank only must not wait for the other
            model(*padded(clips_of([8])))
        results[case] = {"trace": trace, "state": model.state_dict()}
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(work, (folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_learn_what_one_learns_from_the_whole_batch(ranks, case):
    first, second = (rank[case] for rank in ranks)
    for key, value in first["state"].items():
        assert torch.equal(value, second["state"][key]), f"{key} differs between the ranks"

    whole = tokenizer_of(**CASES[case], seed=0)
    start = {key: value.clone() for key, value in whole.state_dict().items()}
    both = [clips_of_rank(rank) for rank in (0, 1)]
    trace = train(whole, lambda step: both[0](step) + both[1](step), across_ranks=False)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(first["state"][key], value, atol=2e-5, rtol=1e-4, msg=key)
        if key.endswith(("codebook", "decoder.output.weight", "fsq.project_in.weight")):
            assert not torch.equal(value, start[key]), f"{key} did not learn"
    for step, expected in enumerate(trace):
        for key, value in expected.items():
            for rank in (first, second):
                torch.testing.assert_close(rank["trace"][step][key], value)


def test_rows_are_found_by_their_number_in_the_whole_batch():
    rows = torch.arange(20.0).view(10, 2)
    numbers = torch.tensor([9, 0, 3, 4, 4])
    shares = [BatchShare(0, 4, 10, 2), BatchShare(4, 6, 10, 2)]
    parts = [own_rows(rows[s.start : s.start + s.local], numbers, s) for s in shares]
    assert torch.equal(parts[0] + parts[1], rows[numbers])
    assert torch.equal(parts[0][0], torch.zeros(2)) and torch.equal(parts[1][0], rows[9])
    assert shares[0].divisor == 5
