"""What a training says of itself: parameters, memory, the size of a step, its speed."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from soke.assemble.run import Run
from soke.assemble.trainer import build_trainer
from soke.structures import Keyword, Retrieval
from soke.training.memory import MemoryEstimate, live_bytes, optimizer_bytes
from soke.training.start_report import describe_parameters, estimate, longest_clip
from soke.training.throughput import Throughput
from tests.training.test_resume import (
    clips,  # noqa: F401 (a fixture)
    generator_run,
    tokenizer_run,
)
from tests.training.test_switches import configured

WIDTH, ROWS = 64, 16


class Square(torch.autograd.Function):
    """Keeps its input and nothing else."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return (gradient * x).mul_(2)


def test_live_bytes_of_a_chain_by_hand():
    """The first input was there before, and backward lets an output go for each gradient."""
    weight, layers = nn.Parameter(torch.full((ROWS, WIDTH), 0.5)), 6
    size = weight.nbytes

    def loss():
        x = weight
        for _ in range(layers):
            x = Square.apply(x)
        return x.sum()

    # The outputs of all layers, at the end of the forward pass; the last one is let go before the
    # first gradient is made. Scalars are four bytes each.
    assert live_bytes(loss, [weight]).max() == pytest.approx(layers * size, abs=16)
    assert weight.grad is None


def test_measuring_leaves_gradients_and_random_numbers_alone():
    layer, dropout = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.5)
    layer(torch.ones(1, WIDTH)).sum().backward()
    before, state = layer.weight.grad.clone(), torch.get_rng_state()
    held = live_bytes(
        lambda: dropout(layer(torch.ones(ROWS, WIDTH))).sum(), list(layer.parameters())
    )
    assert held.max() >= 3 * ROWS * WIDTH * 4
    assert torch.equal(layer.weight.grad, before) and torch.equal(torch.get_rng_state(), state)
    layer(torch.ones(1, WIDTH)).sum().backward()
    assert torch.equal(layer.weight.grad, 2 * before)  # no hook was left behind


@pytest.mark.parametrize(
    ("factory", "copies"),
    [
        (lambda p: torch.optim.AdamW(p, fused=True), 2),
        (lambda p: torch.optim.SGD(p), 0),
        (lambda p: torch.optim.SGD(p, momentum=0.9), 1),
    ],
)
def test_optimizers_are_asked_what_they_keep(factory, copies):
    layer = nn.Linear(WIDTH, WIDTH)
    assert optimizer_bytes(factory, layer.parameters()) == copies * 4 * (WIDTH + 1) * WIDTH


def test_the_estimate_counts_and_divides(tmp_path, clips):  # noqa: F811
    module, data = generator_run(clips, tmp_path)
    data.lengths = clips.lengths
    batches = longest_clip(data)
    longest = clips[int(np.argmax(clips.lengths))].name
    assert [batch.names for batch in batches] == [(longest,) * 2, (longest,) * 3]
    found = estimate(module, batches, 5)
    numbers = sum(p.numel() for p in module.network.parameters())
    buffers = sum(b.nbytes for b in module.network.buffers())
    assert found.weights == 4 * numbers + buffers
    assert found.gradients == 4 * numbers and found.optimizer == 8 * numbers
    shares = estimate(module, batches, 5, shares=4)
    assert shares.gradients == found.gradients / 4 and shares.activations == found.activations


def test_a_straight_line_meets_a_larger_batch(tmp_path, clips):  # noqa: F811
    """Of both stages, with what autocast adds, and with layers that are computed twice."""
    module, _ = tokenizer_run(clips, 0)
    module.train()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    compare_with_a_large_batch(module, [made_up_frames(count) for count in (2, 3, 9)], within=0.05)
    assert module.training and module.tokenizer.training
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), key  # codebooks have not learned
    module, data = generator_run(clips, tmp_path)
    batches = [data.collate_train([data.train[0]] * count) for count in (2, 3, 9)]
    plain = compare_with_a_large_batch(module, batches)
    assert compare_with_a_large_batch(module, batches, "bf16-mixed") != plain
    module.network.checkpoint_activations()
    assert compare_with_a_large_batch(module, batches) < 0.7 * plain


def compare_with_a_large_batch(module, batches, precision="32-true", within=0.01):
    few, _, large = batches
    size = len(large.names)
    expected = estimate(module, [large, large], 1, precision).activations  # no line to follow
    found = estimate(module, batches[:2], size, precision).activations
    assert found == pytest.approx(expected, rel=within)
    assert found > 2 * estimate(module, [few, few], 1, precision).activations
    return found


def made_up_frames(count, frames=64):
    from tests.training.test_tokenizer_module import batch_of

    return batch_of([frames] * count)


def test_sizes_are_readable():
    text = str(MemoryEstimate(1.5e9, 1.5e9, 3e9, 20e6))
    assert (
        text == "weights 1.50 GB, gradients 1.50 GB, optimizer 3.00 GB, activations 20 MB, "
        "total 6.02 GB"
    )


def test_groups_hold_every_parameter_once(tmp_path, clips):  # noqa: F811
    for module, names in (
        (generator_run(clips, tmp_path)[0], ["embeddings", "encoder", "decoder"]),
        (tokenizer_run(clips, 0)[0], ["body", "lhand", "rhand"]),
    ):
        groups = module.parameter_groups()
        assert list(groups) == names
        listed = [id(p) for group in groups.values() for p in group]
        assert sorted(listed) == sorted(id(p) for p in module.network.parameters())
        next(iter(groups.values()))[0].requires_grad_(False)
        frozen = next(iter(groups.values()))[0].numel()
        total = sum(p.numel() for p in module.network.parameters())
        assert f"{total:,} in all, {total - frozen:,} of them" in describe_parameters(groups)


def test_a_training_reports_what_it_is(tmp_path, clips, caplog):  # noqa: F811
    caplog.set_level(logging.INFO)
    module, data = generator_run(clips, tmp_path / "x")
    data.lengths = clips.lengths
    config = configured(tmp_path, "TRAIN.ACCUMULATE=3", "LOGGER.TYPE=[tensorboard]")
    trainer = build_trainer(Run(config), module, data)
    trainer.fit(module, data)
    text = next(r.getMessage() for r in caplog.records if r.name == "soke.training.start_report")
    assert "parameters: embeddings" in text and "memory of a process" in text
    assert "a step: 9 clips (3 x 1 processes x 3 batches)" in text and "1 steps an epoch" in text
    assert "padding: " in text
    retrieved = [r.getMessage() for r in caplog.records if r.name == "soke.retrieval.search"]
    assert len(retrieved) == 1 and "9 texts" in retrieved[0]
    assert trainer.callback_metrics["train/tokens_per_second"] > 0


def test_rates_count_all_batches_and_no_pauses(monkeypatch):
    """Ten units a batch on each of two processes, two seconds a batch, breaks between epochs."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("soke.training.throughput.time.perf_counter", lambda: clock.now)
    written, shown = [], {}
    trainer = SimpleNamespace(
        log_every_n_steps=2,
        global_step=0,
        strategy=SimpleNamespace(reduce=lambda value, reduce_op: 2 * value),
        loggers=[SimpleNamespace(log_metrics=lambda values, step: written.append(values))],
    )
    module = SimpleNamespace(
        unit="frames",
        device="cpu",
        amount=lambda batch: torch.tensor(batch),
        log=lambda name, value, **options: shown.update({name: value}),
    )
    callback = Throughput()
    for _ in range(3):
        clock.now += 1000
        callback.on_train_epoch_start(trainer, module)
        for _ in range(4):
            clock.now += 2
            callback.on_train_batch_end(trainer, module, None, 10, 0)
    assert len(written) == 5  # the first record is where counting begins
    assert all(values == {"train/frames_per_second": 10.0} for values in written)
    assert shown == {"train/frames_per_second": 10.0}


def test_retrieval_is_counted_in_the_first_epoch_only(tmp_path, clips, monkeypatch):  # noqa: F811
    module, data = generator_run(clips, tmp_path)
    batch = data.collate_train([data.train[0]])
    assert module.tokenizer is module._tokenizer[0] and module.body is module._body[0]
    assert not any("tokenizer" in key or "body" in key for key in module.state_dict())
    module.log = lambda *_, **__: None
    for _ in range(2):
        module.training_step(batch, 0)
    assert module.retrieval.texts == 2
    monkeypatch.setattr(type(module), "current_epoch", 1)
    module.training_step(batch, 0)
    assert module.retrieval.texts == 2
    assert isinstance(batch.retrievals[0], Retrieval)
    assert all(isinstance(keyword, Keyword) for keyword in batch.retrievals[0].keywords)
