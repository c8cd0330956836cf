import inspect
import re
from pathlib import Path

import pytest
from omegaconf import DictConfig

from soke.assemble.run import Run
from soke.config import (
    ConfigError,
    build_row,
    check_params,
    load_config,
    locate,
    parse_command_line,
    plain,
)
from soke.data.corpora import Corpus
from soke.parts import Part, PartTable

CONFIGS = Path(__file__).parents[1] / "configs"
RUNNABLE = sorted([*CONFIGS.glob("*.yaml"), *(CONFIGS / "demo").glob("*.yaml")])
#: Arguments that the code supplies and a YAML file does not.
SUPPLIED = {
    "soke.tokenizer.PartTokenizer": ("parts",),
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
    assert len(found) == 4  # optimizer, schedule, tokenizer, decoding
    for node in found:
        params = plain(node.params) if "params" in node else {}
        supplied = dict.fromkeys(SUPPLIED[node.target])
        inspect.signature(locate(node.target)).bind(**supplied, **params)
        check_params(node.target, params)


@pytest.mark.parametrize(
    ("key", "value"),
    [("fps", 0), ("hands", "flatt")]
    + [("max_seconds", value) for value in ("30", -1, [30], True, float("nan"))]
    + [("annotation", value) for value in (3, ["x"], "", "labels.{spilt}")],
)
def test_a_corpus_that_cannot_be_names_its_key(key, value):
    row = plain(load_config(CONFIGS / "default.yaml").CORPORA.csl)
    with pytest.raises(ValueError, match=re.escape(f"CORPORA.csl.{key} is {value!r}")):
        Corpus(name="csl", **row | {key: value})


def test_groups_only_name_known_keys():
    for group in ("data", "parts", "tokenizer", "generator"):
        files = sorted((CONFIGS / group).glob("*.yaml"))
        assert files
        for path in files:
            PartTable.from_rows(plain(load_config(path).PARTS))


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
            "--cfg",
            str(CONFIGS / "soke.yaml"),
            "--nodebug",
            "--batch_size",
            "7",
            "--device",
            "1",
            "3",
            "TRAIN.END_EPOCH=9",
            "OUTPUT.EXPERIMENTS=elsewhere",
            "DATASET.H2S.ROOT=/data/h",
        ],
    )
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
        ("TRAIN=5", "TRAIN is a section with the keys"),
        ("METRIC.TYPE=[dtww]", r"METRIC.TYPE has \['dtww'\]; choose from"),
        ("LOGGER.TYPE=mlflow", "choose from"),
        ("TEST.REPLICATION_TIMES=0", "whole number above 0"),
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
    path.write_text(
        "NAME: x\nMETRIC: {FORCE_IN_METER: true, TYPE: [ranks]}\nLOSS: {TYPE: {a: 1}}\n"
    )
    config = load_config(path)
    assert "METRIC.FORCE_IN_METER has no meaning here" in caplog.text
    assert "FORCE_IN_METER" not in config.METRIC and "TYPE" not in config.LOSS
    assert config.METRIC.TYPE == ["ranks"]
    path.write_text("NAMES: x\n")
    with pytest.raises(ConfigError, match=r"theirs.yaml: unknown key 'NAMES'; did you mean 'NAME'"):
        load_config(path)


def test_a_removed_key_is_ignored_with_a_warning(tmp_path, caplog):
    path = tmp_path / "older.yaml"
    path.write_text("NAME: x\nRENDER: {BACKEND: opengl, CLIPS: 3}\n")
    config = load_config(path, ["RENDER.BACKEND=cpu"])
    assert config.RENDER.CLIPS == 3 and "BACKEND" not in config.RENDER
    first, second = caplog.messages
    assert (
        first
        == f"{path}: RENDER.BACKEND was removed and is ignored: bodies are always drawn on the CPU"
    )
    assert second.startswith("the command line: RENDER.BACKEND was removed")


def test_debug_runs_stay_away_from_real_results():
    config = load_config(CONFIGS / "demo" / "soke.yaml", debug=True)
    assert config.OUTPUT.EXPERIMENTS == "experiments/debug"
    assert config.TEST.FOLDER == "results/debug"
    assert config.DATASET.CODE_PATH == "TOKENS-debug"
    assert "/TOKENS-debug/" in config.CORPORA.phoenix.dictionary
    assert config.TRAIN.END_EPOCH == 2


def test_a_debug_run_takes_the_real_tokenizer_where_it_has_none_of_its_own(tmp_path):
    change = [f"OUTPUT.EXPERIMENTS={tmp_path}"]
    own = tmp_path / "debug" / "deto" / "checkpoints" / "best.ckpt"
    config = load_config(CONFIGS / "soke.yaml", change, debug=True)
    assert f"{tmp_path}/deto/checkpoints/best.ckpt" == config.TRAIN.PRETRAINED_VAE
    own.parent.mkdir(parents=True)
    own.touch()
    config = load_config(CONFIGS / "soke.yaml", change, debug=True)
    assert str(own) == config.TRAIN.PRETRAINED_VAE


def test_debug_is_the_default_and_can_be_switched_off_either_way():
    words = ["--cfg", str(CONFIGS / "deto.yaml")]
    assert parse_command_line("x", arguments=words)[0].TRAIN.END_EPOCH == 2
    for switch in ("--nodebug", "DEBUG=false"):
        assert parse_command_line("x", arguments=[*words, switch])[0].TRAIN.END_EPOCH == 500
    with pytest.raises(ConfigError, match="add --nodebug"):
        parse_command_line("x", arguments=[*words, "TRAIN.RESUME=experiments/deto"])


def test_wrong_rows_name_the_nearest_key():
    with pytest.raises(
        ConfigError, match=r"PARTS\[0\]: unknown key 'colums'; did you mean 'columns'"
    ):
        build_row(Part, {"name": "a", "colums": []}, "PARTS[0]")
    with pytest.raises(ConfigError, match=r"CORPORA.asl lacks \['layout', 'root'"):
        build_row(Corpus, {"name": "asl"}, "CORPORA.asl")


def test_a_shared_dictionary_is_not_written_over():
    config = load_config(CONFIGS / "soke.yaml", ["CORPORA.how2sign.signs=mine.json"])
    with pytest.raises(ValueError, match="must not be shared"):
        _ = Run(config).corpora
