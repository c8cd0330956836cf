"""The Lightning module of the tokenizer: losses, logs, stopping, resuming."""

import lightning as L
import pytest
import torch
from torch import nn

from soke.body import POINT_SETS
from soke.data.datasets import PoseSample, collate_poses
from soke.metrics.position_errors import point_errors
from soke.structures import PoseBatch
from soke.tokenizer import QUANTIZERS, load_tokenizer, reconstruction_loss
from soke.training.optimization import WarmupCosine
from soke.training.tokenizer_module import NonFiniteLossError, TokenizerModule
from tests.tokenizer.models import clips_of, padded, tokenizer_of


class Skeleton(nn.Module):
    """Stands for the body model: features as points, so that errors are easy to check."""

    def scored_points(self, motion):
        points = motion[:, :12].view(len(motion), 4, 3)
        return {name: points * (1 + i) for i, name in enumerate(POINT_SETS)}


def module_of(tokenizer, **options):
    return TokenizerModule(
        tokenizer,
        Skeleton(),
        ["a", "b"],
        lambda p: torch.optim.AdamW(p, 1e-3, fused=True),
        lambda optimizer, total: WarmupCosine(optimizer, total),
        **options,
    )


def batch_of(lengths, seed=0):
    motion, mask = padded(clips_of(lengths, seed))
    names = tuple(f"clip{i}" for i in range(len(lengths)))
    return PoseBatch(names, ("a",) * len(names), names, motion, mask)


def trainer_of(folder, epochs, **options):
    return L.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        **options,
    )


def loader(lengths, batch_size=2):
    clips = clips_of(lengths)
    samples = [PoseSample(f"clip{i}", "ab"[i % 2], "text", clip) for i, clip in enumerate(clips)]
    return torch.utils.data.DataLoader(samples, batch_size, collate_fn=collate_poses)


def test_the_loss_is_the_weighted_sum_over_real_frames():
    batch = batch_of([16, 8])
    module = module_of(tokenizer_of(), velocity_weight=0.5, loss_kind="l2").eval()
    terms, output = module.losses(batch)
    real = [slice(None, 16), slice(None, 8)]
    moves = torch.cat(
        [
            (output.reconstruction[i, own] - batch.motion[i, own]).diff(dim=0)
            for i, own in enumerate(real)
        ]
    )
    torch.testing.assert_close(terms["velocity"], moves.square().mean())
    torch.testing.assert_close(
        terms["feature"],
        reconstruction_loss("l2", output.reconstruction, batch.motion, batch.mask),
    )
    torch.testing.assert_close(terms["commitment"], output.commitment.sum())
    trainer = module_of(tokenizer_of(), velocity_weight=0.5, loss_kind="l2").train()
    trainer.log = trainer.log_dict = lambda *_, **__: None
    loss = trainer.training_step(batch, 0)
    terms, _ = module_of(tokenizer_of(), velocity_weight=0.5, loss_kind="l2").train().losses(batch)
    expected = terms["feature"] + 0.5 * terms["velocity"] + 0.02 * terms["commitment"]
    torch.testing.assert_close(loss, expected)
    assert "velocity" not in module_of(tokenizer_of()).losses(batch)[0]


@pytest.mark.parametrize(
    ("break_it", "terms", "cause"),
    [
        (lambda m, b: b.motion[1, 3].fill_(torch.nan), "feature", r"motion of \['clip1'\]"),
        (
            lambda m, b: m.tokenizer.networks[0].encoder.output.bias.data.fill_(torch.inf),
            "commitment",
            "lower the learning rate",
        ),
        (
            lambda m, b: m.tokenizer.networks[2].decoder.output.bias.data.fill_(torch.inf),
            "feature is not finite",
            "lower the learning rate",
        ),
    ],
)
def test_a_loss_that_is_not_finite_names_its_clips(break_it, terms, cause):
    module, batch = module_of(tokenizer_of()).train(), batch_of([16, 8])
    module.log = module.log_dict = lambda *_, **__: None
    module.training_step(batch, 0)
    break_it(module, batch)
    with pytest.raises(NonFiniteLossError, match=f"{terms}.*clip0, clip1.*{cause}") as error:
        module.training_step(batch, 1)
    assert error.value.names == ("clip0", "clip1") and isinstance(error.value, ValueError)


def test_padding_that_is_not_finite_does_not_stop_training():
    module, batch = module_of(tokenizer_of()).train(), batch_of([16, 8])
    module.log = module.log_dict = lambda *_, **__: None
    loss = module.training_step(batch, 0)
    batch.motion[1, 8:] = torch.nan
    other = module_of(tokenizer_of()).train()
    other.log = other.log_dict = lambda *_, **__: None
    assert torch.equal(other.training_step(batch, 0), loss)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_validation_logs_errors_and_the_use_of_all_codes(tmp_path, kind):
    torch.manual_seed(0)
    module = module_of(tokenizer_of(kind, mean=torch.randn(133), std=torch.full((133,), 2.0)))
    trainer = trainer_of(tmp_path, 1)
    validation = loader([8, 16, 24])
    trainer.fit(module, loader([32, 16, 8, 40]), validation)
    logged = trainer.logged_metrics | trainer.callback_metrics
    tokenizer = module.tokenizer.eval()
    for p, part in enumerate(tokenizer.parts):
        tokens = torch.cat(
            [tokenizer.encode(clip[None])[0, :, p] for clip in clips_of([8, 16, 24])]
        )
        share = torch.bincount(tokens) / len(tokens)
        perplexity = torch.exp(-torch.xlogy(share, share).sum())
        torch.testing.assert_close(logged[f"val/perplexity_{part.name}"], perplexity)
        used = len(tokens.unique()) / part.codebook_size
        assert float(logged[f"val/codes_used_{part.name}"]) == pytest.approx(used)
        assert 0 < float(logged[f"train/codes_used_{part.name}"]) <= 1
        assert 1 <= float(logged[f"train/perplexity_{part.name}"]) <= part.codebook_size
    assert not module.codebook_use.counts.any()  # the next validation starts anew
    assert float(logged["val/MPJPE_mean"]) > 0 and module.sample[0] == "clip0"


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_resuming_from_a_lightning_checkpoint_is_exact(tmp_path, kind):
    data = loader([32, 8, 24, 40])

    def run(epochs, resume=None, seed=0):
        module, trainer = module_of(tokenizer_of(kind, seed=seed)), trainer_of(tmp_path, epochs)
        trainer.fit(module, data, ckpt_path=resume, weights_only=True)
        return module, trainer

    whole, _ = run(4)
    path = tmp_path / "half.ckpt"
    half = module_of(tokenizer_of(kind))
    trainer = trainer_of(tmp_path, 4, callbacks=[StopAfter(2, path)])
    trainer.fit(half, data)
    resumed, _ = run(4, path, seed=7)
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    content = torch.load(path, weights_only=True)
    assert content["soke"]["tokenizer"]["quantizer"] == kind
    loaded = load_tokenizer(path)
    for key, value in half.tokenizer.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_validation_scores_each_clip_by_itself(monkeypatch):
    """All clips of a batch are posed in one go; the scores are those of posing them in turn."""
    module = module_of(tokenizer_of(mean=torch.randn(133), std=torch.full((133,), 2.0))).eval()
    module.log = lambda *_, **__: None
    batch, added = batch_of([24, 8, 16]), []
    monkeypatch.setattr(module.errors, "update", lambda *row, weight: added.append((*row, weight)))
    module.validation_step(batch, 0)
    _, output = module.losses(batch)
    for (corpus, errors, weight), i, length in zip(added, range(3), (24, 8, 16)):
        motions = [
            module.tokenizer.denormalize(motion[i, :length])
            for motion in (output.reconstruction, batch.motion)
        ]
        points = [Skeleton().scored_points(motion) for motion in motions]
        expected = point_errors(*points)
        assert corpus == "a" and weight == length
        assert errors.pop("MPJPE_mean") == pytest.approx(sum(expected.values()) / len(expected))
        assert errors == pytest.approx(expected, rel=1e-6)
        if i == 0:
            name, _, *sample = module.sample
            assert name == "clip0"
            torch.testing.assert_close(sample, motions)
    assert len(added) == 3


class StopAfter(L.Callback):
    def __init__(self, epochs, path):
        self.epochs, self.path = epochs, path

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch + 1 == self.epochs:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True
