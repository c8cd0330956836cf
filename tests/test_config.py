import inspect
from pathlib import Path

import pytest
from omegaconf import DictConfig

from soke.config import (
    ConfigError,
    apply_debug,
    check_params,
    load_config,
    locate,
    parse_command_line,
    plain,
)
from soke.data.corpora import Corpus
from soke.parts import PartTable

CONFIGS = Path(__file__).parents[1] / "configs"
RUNNABLE = sorted([*CONFIGS.glob("*.yaml"), *(CONFIGS / "demo").glob("*.yaml")])
#: Arguments that the code supplies and a YAML file does not.
SUPPLIED = {
    "soke.tokenizer.PartTokenizer": ("parts",),
    "soke.generator.MultiHeadGenerator": ("vocabulary", "config"),
    "soke.generator.generate": ("model", "batch"),
    "torch.optim.AdamW": ("params",),
    "soke.training.optimization.WarmupCosine": ("optimizer", "total_steps"),
}


def targets(node):
    if "target" in node:
        yield node
    for key in node:
        if isinstance(node[key], DictConfig):
            yield from targets(node[key])


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_yaml_loads_and_binds(path):
    config = load_config(path)
    PartTable.from_rows(plain(config.PARTS))
    for name, row in plain(config.CORPORA).items():
        Corpus(name=name, **row)
    found = list(targets(config))
    assert len(found) >= 5
    for node in found:
        params = plain(node.params) if "params" in node else {}
        supplied = dict.fromkeys(SUPPLIED[node.target])
        inspect.signature(locate(node.target)).bind(**supplied, **params)
        check_params(node.target, params)


def test_groups_only_name_known_keys():
    for group in ("data", "tokenizer", "generator"):
        files = sorted((CONFIGS / group).glob("*.yaml"))
        assert files
        for path in files:
            load_config(path)


def test_paper_settings():
    deto, soke = load_config(CONFIGS / "deto.yaml"), load_config(CONFIGS / "soke.yaml")
    assert (deto.TRAIN.BATCH_SIZE, deto.TRAIN.END_EPOCH, deto.LOGGER.VAL_EVERY_STEPS) == (
        320,
        500,
        10,
    )
    assert (soke.TRAIN.BATCH_SIZE, soke.TRAIN.END_EPOCH, soke.LOGGER.VAL_EVERY_STEPS) == (
        32,
        150,
        5,
    )
    assert soke.TRAIN.OPTIM.params == {"lr": 2e-4, "betas": [0.9, 0.99], "weight_decay": 0.0}
    assert soke.SEED_VALUE == 1234 and soke.EVAL.BATCH_SIZE == 16 and soke.TEST.BATCH_SIZE == 8
    assert PartTable.from_rows(plain(soke.PARTS)).fusion_weights == [0.2, 0.4, 0.4]


def test_command_line_wins_and_interpolations_follow():
    config, options = parse_command_line(
        "x",
        arguments=[
            "--cfg", str(CONFIGS / "soke.yaml"), "--nodebug", "--batch_size", "7", "--device", "1",
            "3", "TRAIN.END_EPOCH=9", "OUTPUT.EXPERIMENTS=elsewhere", "DATASET.H2S.ROOT=/data/h",
        ],
    )  # fmt: skip
    assert options.cfg and config.TRAIN.BATCH_SIZE == 7 and config.TRAIN.END_EPOCH == 9
    assert list(config.DEVICE) == [1, 3] and not config.DEBUG
    assert config.TRAIN.PRETRAINED_VAE == "elsewhere/deto/checkpoints/best.ckpt"
    assert config.CORPORA.how2sign.root == "/data/h"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("TRAIN.BATCHSIZE=8", "did you mean 'TRAIN.BATCH_SIZE'"),
        ("TRAIN.BATCH_SIZE", "KEY=VALUE"),
        ("TRAIN.BATCH_SIZE=0", "whole number above 0"),
        ("TRAIN.STAGE=vea", "choose one of"),
        ("Train.STAGE=vae", "unknown key"),
    ],
)
def test_a_wrong_value_names_the_remedy(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(CONFIGS / "soke.yaml", [override])


def test_wrong_parameters_and_targets_are_named():
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        check_params("soke.tokenizer.PartTokenizer", {"widht": 3})
    with pytest.raises(ConfigError, match="cannot be imported"):
        locate("soke.tokenizer.Nothing")


def test_release_keys_warn_and_others_fail(tmp_path, caplog):
    path = tmp_path / "theirs.yaml"
    path.write_text("NAME: x\nMETRIC: {FORCE_IN_METER: true, TYPE: [dtw]}\n")
    config = load_config(path)
    assert "METRIC.FORCE_IN_METER has no meaning here" in caplog.text
    assert "FORCE_IN_METER" not in config.METRIC and config.METRIC.TYPE == ["dtw"]
    path.write_text("NAMES: x\n")
    with pytest.raises(ConfigError, match=r"theirs.yaml: unknown key 'NAMES'; did you mean 'NAME'"):
        load_config(path)


def test_debug_runs_stay_away_from_real_results():
    config = load_config(CONFIGS / "soke.yaml")
    apply_debug(config)
    assert config.OUTPUT.EXPERIMENTS == "experiments/debug"
    assert config.TEST.FOLDER == "results/debug"
    assert config.DATASET.CODE_PATH == "TOKENS-debug"
    assert config.TRAIN.END_EPOCH == 2
