"""Training of the text decoder: scores of validation, resuming, checkpoints, reading signs back."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest
import sacrebleu
import torch

from soke.assemble.modules import load_text_decoder, text_module
from soke.assemble.prompting import build_vocabulary
from soke.assemble.run import Run
from soke.assemble.trainer import build_trainer
from soke.config import load_config
from soke.data.datasets import TokenDataset
from soke.data.loader import SignDataModule
from soke.data.token_files import token_path, write_tokens
from soke.generator import SignToText, translate
from soke.generator.vocabulary import EOS
from soke.training.run_checkpoints import AtomicCheckpointIO, last_checkpoint, load_weights
from soke.training.text_module import TextModule, back_translate
from tests.generator.test_sign_to_text import PARTS, text_prompts
from tests.helpers import CORPORA, small_config, token_samples
from tests.runs import small_run
from tests.training.test_resume import (
    OPTIMIZER,
    SCHEDULER,
    assert_same,
    clips,  # noqa: F401 (a fixture)
    configure_for,
    trainer,
)
from tests.training.test_switches import configured

SHORT = partial(translate, max_pieces=4)


def text_run(clips, folder, decode=SHORT):  # noqa: F811
    """With dropout and augmentation."""
    prompts = text_prompts(folder / "mbart")
    torch.manual_seed(3)
    network = SignToText(prompts.vocabulary, small_config(prompts.vocabulary.text_size))
    for layer in network.modules():
        if hasattr(layer, "dropout"):
            layer.dropout = 0.1
    draw = np.random.default_rng(0)
    for clip in clips:
        write_tokens(token_path(folder, clip.corpus, clip.name), draw.integers(0, 8, (12, 3)))
    module = TextModule(network, "x", CORPORA, OPTIMIZER, SCHEDULER, decode)
    training = TokenDataset(clips, folder, PARTS, augment=True)
    validation = TokenDataset(clips, folder, PARTS)
    data = SignDataModule(training, validation, prompts, prompts, 3, 4, seed=5)
    return module.train(), data


def run(clips, folder, epochs, resume=None):  # noqa: F811
    torch.set_num_threads(1)  # bits depend on it, and earlier tests may have changed it here
    module, data = text_run(clips, folder)
    steps = 4 * len(data.train_dataloader())  # the schedule of the whole run
    module.configure_optimizers = partial(configure_for, module, steps)
    trainer(folder, epochs).fit(module, data, ckpt_path=resume, weights_only=True)


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def test_a_run_that_is_resumed_in_a_new_process_is_the_same(tmp_path, clips):  # noqa: F811
    run(clips, tmp_path / "whole", 4)
    run(clips, tmp_path / "halves", 2)
    whole = last(tmp_path / "whole")
    assert whole["soke"] == {"tokenizer_sha256": "x"}
    with pytest.raises(AssertionError):
        assert_same(whole, last(tmp_path / "halves"))
    path, _ = last_checkpoint(tmp_path / "halves", 4)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(run, clips, tmp_path / "halves", 4, path).result()
    assert_same(whole, last(tmp_path / "halves"))


def test_validation_scores_are_those_of_the_libraries(tmp_path, clips):  # noqa: F811
    """Batches of four of eleven clips, whose texts are all the same."""
    said = ["the quick brown fox", "a quick brown dog", "", "the brown quick fox jumps"] * 3
    left = iter(said)
    module, data = text_run(clips, tmp_path, lambda model, batch: [next(left) for _ in batch.names])
    (values,) = trainer_for_validation(tmp_path).validate(module, data, verbose=False)
    said, truth = said[:11], ["the quick brown fox"] * 11
    chrf = sacrebleu.corpus_chrf(said, [truth]).score
    bleu = sacrebleu.corpus_bleu(said, [truth], smooth_method="none").score
    assert values["val/chrF"] == pytest.approx(chrf, rel=1e-5)
    assert bleu > 0 and values["val/BLEU-4"] == pytest.approx(bleu, rel=1e-5)
    # "the" to "a" is three edits and "fox" to "dog" two; the empty text lacks all letters.
    edits = [distance(a, b) for a, b in zip(said, truth)]
    assert edits[:3] == [0, 5, 19]
    assert values["val/character_error_rate"] == pytest.approx(sum(edits) / (11 * 19), rel=1e-5)
    assert values["val/exact"] == pytest.approx(3 / 11, rel=1e-5)
    assert 0 <= values["val/accuracy"] <= 1 and values["val/loss"] > 0


def trainer_for_validation(folder):
    whole = trainer(folder, 1)
    whole.limit_val_batches = 1.0
    return whole


def distance(one, two):
    """Levenshtein's, from the textbook."""
    table = np.zeros((len(one) + 1, len(two) + 1), dtype=int)
    table[:, 0], table[0] = range(len(one) + 1), range(len(two) + 1)
    for i, a in enumerate(one, start=1):
        for j, b in enumerate(two, start=1):
            table[i, j] = min(
                table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b)
            )
    return int(table[-1, -1])


@pytest.mark.parametrize(
    ("overrides", "monitor", "mode"),
    [
        ((), "val/chrF", "max"),
        (("TRAIN.MONITOR=character_error_rate",), "val/character_error_rate", "min"),
        (("TRAIN.MONITOR=BLEU-4",), "val/BLEU-4", "max"),
        (("TRAIN.MONITOR=loss",), "val/loss", "min"),
    ],
)
def test_the_best_checkpoint_is_the_highest_or_the_lowest(
    tmp_path,
    clips,  # noqa: F811
    overrides,
    monitor,
    mode,
):
    module, data = text_run(clips, tmp_path)
    best = build_trainer(Run(configured(tmp_path, *overrides)), module, data).checkpoint_callbacks[
        0
    ]
    assert (best.monitor, best.mode) == (monitor, mode)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The configuration of a generator's run, and the checkpoint of a text decoder beside it."""
    folder = tmp_path_factory.mktemp("run")
    config = load_config(small_run(folder))
    torch.manual_seed(4)
    module = text_module(Run(config), build_vocabulary(Run(config)))
    for parameter in module.network.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(4)
    module.network.untie("head")
    module.network.head.weight.data.normal_()
    module.network.bias[EOS] = 2.0
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, folder / "text.ckpt")
    return config, folder / "text.ckpt", module.eval()


def test_signs_are_read_back_in_their_order(trained):
    config, path, module = trained
    loaded = load_text_decoder(Run(config), path)
    assert not loaded.training
    samples = token_samples(9)
    tokens = [sample.tokens for sample in samples][::-1]  # of falling length
    corpora = [sample.corpus for sample in samples][::-1]
    alone = [back_translate(module, [t], [c])[0] for t, c in zip(tokens, corpora)]
    assert len(set(alone)) > 3
    for batch_size in (1, 2, 32):
        assert back_translate(loaded, tokens, corpora, batch_size) == alone
    assert back_translate(loaded, [torch.tensor(t) for t in tokens], corpora) == alone
    assert back_translate(loaded, [], []) == []
    with pytest.raises(ValueError, match="batch_size must be 1 or more, got 0"):
        back_translate(loaded, tokens, corpora, 0)
    with pytest.raises(ValueError, match="9 clips and 8 names"):
        back_translate(loaded, tokens, corpora[1:])


def test_other_checkpoints_are_refused_in_one_sentence(trained, tmp_path):
    config, path, module = trained
    generator = Run(config).folder / "checkpoints" / "best.ckpt"
    with pytest.raises(ValueError, match="has no weights of a text_decoder, but of: generator"):
        load_text_decoder(Run(config), generator)
    with pytest.raises(ValueError, match="has no weights of a generator, but of: text_decoder"):
        load_weights(module.network, path, "generator")
    with pytest.raises(FileNotFoundError, match=r"text decoder.*python -m train.*m2t"):
        load_text_decoder(Run(config), tmp_path / "none.ckpt")
    foreign = torch.load(path, weights_only=True) | {"soke": {"tokenizer_sha256": "f" * 64}}
    torch.save(foreign, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="tokens of another tokenizer"):
        load_text_decoder(Run(config), tmp_path / "foreign.ckpt")


def test_the_stage_starts_from_a_checkpoint_or_from_mbart(trained):
    config, path, module = trained
    again = config.copy()
    again.TRAIN.PRETRAINED = str(path)
    started = text_module(Run(again), build_vocabulary(Run(again)))
    for key, value in module.network.state_dict().items():
        assert torch.equal(started.network.state_dict()[key], value)
    pretrained = config.copy()
    pretrained.model.generator.pretrained = True
    with pytest.raises(FileNotFoundError, match="The mBART weights"):
        text_module(Run(pretrained), build_vocabulary(Run(pretrained)))
