"""A run that is stopped and goes on is the run that was not stopped, bit for bit."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import lightning as L
import numpy as np
import pytest
import torch

from soke.body import STAND_IN, BodyModel
from soke.data.clips import Clips, Group, Summary
from soke.data.datasets import LengthLimits, PoseDataset, TokenDataset, collate_poses
from soke.data.loader import SignDataModule
from soke.data.token_files import token_path, write_tokens
from soke.generator import PromptBuilder, generate
from soke.training.callbacks import EpochSeed, checkpoint_callbacks
from soke.training.generator_module import GeneratorModule
from soke.training.optimization import WarmupCosine
from soke.training.run_checkpoints import AtomicCheckpointIO, last_checkpoint
from soke.training.tokenizer_module import TokenizerModule
from tests.data.conftest import CorpusWriter, motion
from tests.helpers import CORPORA, small_generator, small_tokenizer

OPTIMIZER = partial(torch.optim.AdamW, lr=1e-3)
SCHEDULER = partial(WarmupCosine, warmup_steps=2, eta_min=0.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Eleven clips of 40 to 90 frames."""
    from soke.data import read_annotations
    from soke.data.listing.annotations import DropCounts
    from soke.data.scan import survey

    corpus = CorpusWriter("csl", tmp_path_factory.mktemp("csl"))
    rows = [(f"clip{i}", "the quick brown fox") for i in range(11)]
    corpus.annotate(rows)
    for i, (name, _) in enumerate(rows):
        corpus.write_clip(name, 0.1 * motion(40 + 5 * i, seed=i))
    found, _ = read_annotations("csl", corpus.root, "train", corpus="how2sign")
    kept = survey(found, DropCounts())
    return Clips([Group(kept.clips, kept.lengths, Summary("how2sign", "train", "", 11))])


def trainer(folder, epochs, **options):
    return L.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO()],
        num_sanity_val_steps=0,
        limit_val_batches=1,
        callbacks=[EpochSeed(7), *checkpoint_callbacks(folder, "val/x")[1:]],
        **options,
    )


def tokenizer_run(clips, workers):
    torch.manual_seed(3)
    tokenizer = small_tokenizer(train=True)
    dataset = PoseDataset(clips, LengthLimits(), tokenizer.mean, tokenizer.std, crop=48)
    module = TokenizerModule(tokenizer, BodyModel(STAND_IN), ["how2sign"], OPTIMIZER, SCHEDULER)
    data = SignDataModule(
        dataset,
        dataset,
        collate_poses,
        collate_poses,
        4,
        4,
        workers,
        lengths=clips.lengths.clip(max=48),
        seed=5,
    )
    return module, data


def generator_run(clips, folder, dropout=0.1):
    folder.mkdir(exist_ok=True)
    generator, prompts = small_generator(folder / "mbart")
    templates = ["<Caption_Placeholder>", "the <Caption_Placeholder>", "<Caption_Placeholder> fox"]
    prompts = PromptBuilder(
        prompts.vocabulary,
        CORPORA,
        prompts.search,
        templates=templates,
        hide_text=0.3,
        hide_signs=0.3,
    )
    torch.manual_seed(3)
    for layer in generator.modules():
        if hasattr(layer, "dropout"):
            layer.dropout = dropout
    tokenizer = small_tokenizer()
    draw = np.random.default_rng(0)
    for clip in clips:
        tokens = draw.integers(0, 8, size=(12, 3))
        write_tokens(token_path(folder, clip.corpus, clip.name), tokens)
    dataset = TokenDataset(clips, folder, tokenizer.parts, augment=True)
    module = GeneratorModule(
        generator,
        tokenizer,
        "x",
        BodyModel(STAND_IN),
        list(CORPORA),
        OPTIMIZER,
        SCHEDULER,
        decode=partial(generate, max_steps=4),
    )
    data = SignDataModule(dataset, dataset, prompts, prompts, 3, 4, seed=5)
    return module.train(), data


def assert_same(one, two):
    """The tensors of two checkpoints: weights, buffers, the optimizer's state."""
    assert one["global_step"] == two["global_step"]
    assert set(one["state_dict"]) == set(two["state_dict"])
    for key, value in one["state_dict"].items():
        assert torch.equal(value, two["state_dict"][key]), key
    first, second = (c["optimizer_states"][0]["state"] for c in (one, two))
    assert set(first) == set(second) and first
    for index, state in first.items():
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(second[index][key])), key
    assert one["lr_schedulers"] == two["lr_schedulers"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_tokenizer_that_is_resumed_is_the_same(tmp_path, clips, workers):
    def run(folder, epochs, resume=None):
        module, data = tokenizer_run(clips, workers)
        steps = 4 * len(data.train_dataloader())  # the schedule of the whole run
        module.configure_optimizers = partial(configure_for, module, steps)
        trainer(folder, epochs).fit(module, data, ckpt_path=resume, weights_only=True)
        return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)

    whole = run(tmp_path / "whole", 4)
    half = run(tmp_path / "halves", 2)
    with pytest.raises(AssertionError):
        assert_same(whole, half)
    torch.rand(17)  # a new process has another state of the global generator
    assert_same(whole, run(tmp_path / "halves", 4, last_checkpoint(tmp_path / "halves", 4)[0]))


def configure_for(module, steps):
    from soke.training.optimization import configure

    parameters = [p for p in module.parameters() if p.requires_grad]
    return configure(parameters, module.optimizer, module.scheduler, steps)


def run_of_generator(clips, folder, epochs, resume=None):
    torch.set_num_threads(1)  # bits depend on it, and earlier tests may have changed it here
    module, data = generator_run(clips, folder)
    steps = 4 * -(-len(data.train_dataloader()) // 2)
    module.configure_optimizers = partial(configure_for, module, steps)
    trained = trainer(folder, epochs, accumulate_grad_batches=2)
    trained.fit(module, data, ckpt_path=resume, weights_only=True)


def test_a_generator_that_is_resumed_in_a_new_process_is_the_same(tmp_path, clips):
    """With dropout, augmentation, phrasings, signs by chance and a rest of accumulated batches."""

    def last(folder):
        return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)

    run_of_generator(clips, tmp_path / "whole", 4)
    run_of_generator(clips, tmp_path / "halves", 2)
    whole = last(tmp_path / "whole")
    with pytest.raises(AssertionError):
        assert_same(whole, last(tmp_path / "halves"))
    path, _ = last_checkpoint(tmp_path / "halves", 4)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(run_of_generator, clips, tmp_path / "halves", 4, path).result()
    assert_same(whole, last(tmp_path / "halves"))


def test_a_checkpoint_that_is_cut_short_keeps_the_one_before(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 0}, path)
    code = (
        "import sys, torch; from soke.training.run_checkpoints import AtomicCheckpointIO\n"
        "content = {'epoch': 1, 'x': [torch.zeros(5_000_000) for _ in range(20)]}\n"
        "print('writing', flush=True); AtomicCheckpointIO().save_checkpoint(content, sys.argv[1])"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    child.stdout.readline()
    deadline = time.monotonic() + 60
    while len(list(path.parent.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert torch.load(path, weights_only=True) == {"epoch": 0}
    assert last_checkpoint(tmp_path, 5) == (path, 1)


def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    for name, epoch in (("best.ckpt", 2), ("last.ckpt", 6)):
        AtomicCheckpointIO().save_checkpoint({"epoch": epoch}, folder / name)
    assert last_checkpoint(tmp_path, 9) == (folder / "last.ckpt", 7)
    (folder / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:100])
    caplog.set_level("INFO")
    assert last_checkpoint(tmp_path, 9) == (folder / "best.ckpt", 3)
    assert "last.ckpt cannot be read" in caplog.text and "going on from" in caplog.text
    with pytest.raises(ValueError, match="3 epochs behind it"):
        last_checkpoint(tmp_path, 2)
    (folder / "best.ckpt").write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint of"):
        last_checkpoint(tmp_path, 9)
