"""What the configuration switches on in a training, through `soke.assemble.trainer`."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from soke.assemble.run import Run
from soke.assemble.trainer import build_trainer
from soke.config import SCHEMA, ConfigError, load_config
from tests.helpers import token_samples
from tests.training.test_resume import (
    clips,  # noqa: F401 (a fixture)
    generator_run,
    tokenizer_run,
)

#: One step of plain gradient descent, to be seen in the weights.
DESCENT = {"lr": 1.0}


def configured(folder, *overrides):
    return load_config(
        SCHEMA,
        [
            "ACCELERATOR=cpu",
            "DEVICE=1",
            "LOGGER.TYPE=[]",
            "TRAIN.END_EPOCH=1",
            f"OUTPUT.EXPERIMENTS={folder}",
            *overrides,
        ],
    )


def trained(folder, run, *overrides):
    """A module and its trainer after an epoch of gradient descent; and its weights before."""
    module, data = run
    before = [weight.detach().clone() for weight in module.network.parameters()]
    module.optimizer = lambda parameters: torch.optim.SGD(list(parameters), **DESCENT)
    module.scheduler = lambda optimizer, total: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    trainer = build_trainer(Run(configured(folder, *overrides)), module, data)
    trainer.limit_val_batches = 0
    trainer.checkpoint_callbacks[0].monitor = None  # of a validation that is left out
    trainer.fit(module, data)
    return module, trainer, before


class Batches:
    """Stands for a data module's loader: prepared batches in order."""

    def __init__(self, batches):
        self.batches = batches
        self.batch_sampler = SimpleNamespace(set_epoch=lambda epoch: None)

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def test_accumulated_halves_give_the_gradient_of_the_whole(tmp_path, clips):  # noqa: F811
    """Batches of as many steps; else each batch would still count the same."""

    def run(name, sizes):
        module, data = generator_run(clips, tmp_path / name, dropout=0.0)
        samples = [token_samples(1)[0] for _ in range(4)]
        for i, sample in enumerate(samples):
            sample.tokens[:] = (sample.tokens + i) % 8
        halves = torch.tensor(range(4)).split(sizes)
        data.train_dataloader = lambda: Batches(
            [data.collate_train([samples[i] for i in half]) for half in halves]
        )
        return module, data

    whole, trainer, before = trained(tmp_path / "a", run("whole", 4))
    parts, other, _ = trained(tmp_path / "b", run("halves", 2), "TRAIN.ACCUMULATE=2")
    assert trainer.global_step == other.global_step == 1
    moved = 0.0
    for start, one, two in zip(before, whole.network.parameters(), parts.network.parameters()):
        torch.testing.assert_close(two, one, atol=2e-5, rtol=1e-4)
        moved += float((one - start).abs().sum().detach())
    assert moved > 1


def test_the_schedule_ends_with_the_accumulated_steps(tmp_path, clips):  # noqa: F811
    module, data = tokenizer_run(clips, 0)  # two batches of four
    totals = []

    def schedule(optimizer, total):
        totals.append(total)
        return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

    module.scheduler = schedule
    data.batch_size = 2  # five batches
    config = configured(tmp_path, "TRAIN.ACCUMULATE=2", "TRAIN.END_EPOCH=2")
    trainer = build_trainer(Run(config), module, data)
    trainer.limit_val_batches = 0
    trainer.checkpoint_callbacks[0].monitor = None
    trainer.fit(module, data)
    assert totals == [trainer.global_step] == [6]


def test_bfloat16_gives_nearly_the_same_losses(tmp_path, clips):  # noqa: F811
    runs = {
        "tokenizer": lambda name: tokenizer_run(clips, 0),
        "generator": lambda name: generator_run(clips, tmp_path / name, dropout=0.0),
    }
    for name, run in runs.items():
        losses = {}
        for precision in ("32-true", "bf16-mixed"):
            module, trainer, _ = trained(
                tmp_path / precision, run(f"{name}-{precision}"), f"PRECISION={precision}"
            )
            losses[precision] = float(trainer.callback_metrics["train/loss"])
            state = module.network.state_dict()
            assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float32}
            if name == "tokenizer":
                sums = [network.quantizer.code_count.sum() for network in module.network.networks]
                assert all(value > 0 for value in sums)
        assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.02)
        assert losses["bf16-mixed"] != losses["32-true"]


def test_checkpointed_activations_give_the_same_gradients(tmp_path, clips):  # noqa: F811
    weights = []
    for on in ("false", "true"):
        run = generator_run(clips, tmp_path / on)  # with dropout: the same is drawn again
        module, _, _ = trained(tmp_path / f"run-{on}", run, f"TRAIN.CHECKPOINT_ACTIVATIONS={on}")
        assert module.network.layers[0].gradient_checkpointing == (on == "true")
        weights.append(torch.cat([p.detach().flatten() for p in module.network.parameters()]))
    torch.testing.assert_close(*weights)


def test_strategies(tmp_path, clips):  # noqa: F811
    module, data = generator_run(clips, tmp_path / "x")

    def strategy(*overrides):
        return build_trainer(Run(configured(tmp_path, *overrides)), module, data).strategy

    assert not isinstance(strategy(), DDPStrategy)
    assert isinstance(strategy("DEVICE=2"), DDPStrategy)
    assert isinstance(strategy("TRAIN.STRATEGY=ddp"), DDPStrategy)
    with pytest.raises(ValueError, match=r"TRAIN\.STRATEGY=fsdp needs GPUs"):
        strategy("TRAIN.STRATEGY=fsdp")
    module, data = tokenizer_run(clips, 0)
    with pytest.raises(ValueError, match=r"TRAIN\.STRATEGY=fsdp is for the generator"):
        strategy("TRAIN.STRATEGY=fsdp")
    with pytest.raises(ValueError, match="CHECKPOINT_ACTIVATIONS is for the generator"):
        strategy("TRAIN.CHECKPOINT_ACTIVATIONS=true")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("TRAIN.ACCUMULATE=0", "whole number above 0"),
        ("TRAIN.STRATEGY=zero", r"choose one of \['auto', 'ddp', 'fsdp'\]"),
        ("TRAIN.COMPILE=max", "true or false"),
        ("TRAIN.CHECKPOINT_ACTIVATIONS=2", "true or false"),
        ("PRECISION=bf16-true", "choose one of"),
    ],
)
def test_bad_values_are_named(tmp_path, override, message):
    with pytest.raises(ConfigError, match=f"{override.split('=')[0]} is .*{message}"):
        configured(tmp_path, override)


def test_precision_has_short_names(tmp_path):
    for short, name in (("32", "32-true"), ("bf16", "bf16-mixed"), ("16", "16-mixed")):
        config = configured(tmp_path, f"PRECISION={short}")
        assert name == config.PRECISION
