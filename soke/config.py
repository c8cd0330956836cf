"""YAML files and the command line as one checked configuration.

``soke/default.yaml`` is the schema: a key that is not in it is an error that names the nearest
known key. Values are never evaluated as code.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from soke.files import require

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger(__name__)

Row = TypeVar("Row", bound="DataclassInstance")

SCHEMA = Path(__file__).with_name("default.yaml")
STAGES = ("vae", "lm_pretrain", "lm_instruct", "m2t")
METRICS = ("ranks", "baselines", "reading", "diversity", "back_translation")
LOGGERS = ("tensorboard", "wandb")
STRATEGIES = ("auto", "ddp", "fsdp")
#: Weights and codebooks are kept in float32 in all of them.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_SHORT_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
#: Sections whose keys are the user's own names.
_OPEN_SECTIONS = ("CORPORA",)
#: Keys of the method's public release that have no meaning here.
_RELEASE_ONLY = {
    "FULL_CONFIG",
    "RENDER.BLENDER_PATH",
    "TRAIN.DATASETS",
    "EVAL.DATASETS",
    "TEST.DATASETS",
    "TRAIN.LOAD_PATH",
    "TRAIN.instruction_type",
    "TEST.COUNT_TIME",
    "METRIC.FORCE_IN_METER",
    "METRIC.DIST_SYNC_ON_STEP",
    "METRIC.MM_NUM_SAMPLES",
    "METRIC.MM_NUM_REPEATS",
    "METRIC.MM_NUM_TIMES",
    "METRIC.DIVERSITY_TIMES",
    "DATASET.target",
    "DATASET.SMPL_PATH",
    "DATASET.TASK_PATH",
    "DATASET.TRANSFORM_PATH",
    "DATASET.WORD_VERTILIZER_PATH",
    "LOSS.LAMBDA_LATENT",
    "LOSS.LAMBDA_KL",
    "LOSS.LAMBDA_REC",
    "LOSS.LAMBDA_JOINT",
    "LOSS.TYPE",
    "USE_RICH",
}
#: Keys of earlier versions, with the reason why they are ignored.
_REMOVED = {"RENDER.BACKEND": "bodies are always drawn on the CPU"}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file or key and a remedy."""


def load_config(
    path: str | Path, overrides: Sequence[str] = (), debug: bool | None = False
) -> DictConfig:
    """Read a YAML file with all it builds on, apply ``KEY=VALUE`` overrides, check, resolve.

    With ``debug`` the run is shrunk to a short trial, see `_shrink`; None leaves it to ``DEBUG``.
    """
    path = _find(Path(path), "The configuration", "Name a YAML file with --cfg, see configs/")
    config = _merge(_load(SCHEMA), _load_with_bases(path))
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"{override!r} is not of the form KEY=VALUE")
        try:
            change = OmegaConf.from_dotlist([f"{key}={value}"])
            _check_keys(change, "the command line")
            config = _merge(config, change)
        except OmegaConfBaseException as error:
            raise ConfigError(f"cannot set {override!r}: {error}") from None
    if debug is not None:
        config.DEBUG = debug
    real_tokenizer = _resolved(config, path).TRAIN.PRETRAINED_VAE
    if config.DEBUG:
        _shrink(config)
    config = _resolved(config, path)
    if not Path(config.TRAIN.PRETRAINED_VAE).exists():
        config.TRAIN.PRETRAINED_VAE = real_tokenizer
    _check_values(config)
    return config


def _find(path: Path, what: str, remedy: str) -> Path:
    """A file that exists; `SCHEMA` stands in for a ``default.yaml`` that does not."""
    if path.name == SCHEMA.name and not path.exists():
        return SCHEMA
    return require(path, what, remedy)


def _resolved(config: DictConfig, path: Path) -> DictConfig:
    config = config.copy()
    try:
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {error}") from None
    return config


def _load(path: Path) -> DictConfig:
    loaded = OmegaConf.load(path)
    if not isinstance(loaded, DictConfig):
        raise ValueError("it should hold keys and values, not a list or a single value")
    return loaded


def _merge(config: DictConfig, change: DictConfig) -> DictConfig:
    merged = OmegaConf.merge(config, change)
    assert isinstance(merged, DictConfig)
    return merged


def _load_with_bases(path: Path) -> DictConfig:
    try:
        own = _load(path)
    except Exception as error:  # yaml raises a family of its own
        raise ConfigError(f"{path} is not a YAML configuration: {error}") from None
    bases = own.pop("BASES", [])
    _check_keys(own, str(path))
    merged = OmegaConf.create()
    for base in bases:
        base_path = _find(path.parent / base, f"The base of {path}", "Correct its BASES")
        merged = _merge(merged, _load_with_bases(base_path))
    return _merge(merged, own)


def _check_keys(config: DictConfig, where: str) -> None:
    schema = _load(SCHEMA)
    known = _paths(schema)
    for key in _paths(config):
        if key in known or _is_open(key):
            section = OmegaConf.select(schema, key)
            if isinstance(section, DictConfig) and not isinstance(
                OmegaConf.select(config, key), DictConfig
            ):
                raise ConfigError(f"{where}: {key} is a section with the keys {list(section)}")
            continue
        if key in _RELEASE_ONLY:
            log.warning("%s: %s has no meaning here and is ignored", where, key)
            _remove(config, key)
            continue
        if key in _REMOVED:
            log.warning("%s: %s was removed and is ignored: %s", where, key, _REMOVED[key])
            _remove(config, key)
            continue
        if any(key.startswith(f"{name}.") for name in _RELEASE_ONLY):
            continue  # went with its section
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
        raise ConfigError(f"{where}: unknown key {key!r}; did you mean {nearest!r}?")


def build_row(kind: type[Row], row: Mapping[str, Any], where: str) -> Row:
    """A dataclass from a row of the configuration.

    Raises `ConfigError` that names the key that is unknown or missing.
    """
    known = {field.name: field for field in dataclasses.fields(kind)}
    for key in row:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise ConfigError(f"{where}: unknown key {key!r}; did you mean {nearest!r}?")
    missing = [
        name
        for name, field in known.items()
        if name not in row and field.default is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where} lacks {missing}")
    return kind(**row)


def _remove(config: DictConfig, key: str) -> None:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    node.pop(last)


def _is_open(key: str) -> bool:
    return ".params." in f"{key}." or key.split(".")[0] in _OPEN_SECTIONS


def _paths(config: DictConfig, prefix: str = "") -> list[str]:
    paths = []
    for key in map(str, config):
        path = f"{prefix}{key}"
        paths.append(path)
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            paths += _paths(node, f"{path}.")
    return paths


def _check_values(config: DictConfig) -> None:
    if config.TRAIN.STAGE not in STAGES:
        raise ConfigError(f"TRAIN.STAGE is {config.TRAIN.STAGE!r}; choose one of {list(STAGES)}")
    for key in (
        "TRAIN.BATCH_SIZE",
        "TRAIN.END_EPOCH",
        "TRAIN.ACCUMULATE",
        "EVAL.BATCH_SIZE",
        "TEST.BATCH_SIZE",
        "NUM_NODES",
        "LOGGER.VAL_EVERY_STEPS",
        "TEST.REPLICATION_TIMES",
        "METRIC.GALLERY",
        "METRIC.SAMPLES",
    ):
        value = OmegaConf.select(config, key)
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{key} is {value!r}; it must be a whole number above 0")
    precision = str(config.PRECISION)
    config.PRECISION = _SHORT_PRECISIONS.get(precision, precision)
    choices: dict[str, tuple[str, ...]] = {"PRECISION": PRECISIONS, "TRAIN.STRATEGY": STRATEGIES}
    for key, known in choices.items():
        value = OmegaConf.select(config, key)
        if value not in known:
            raise ConfigError(f"{key} is {value!r}; choose one of {list(known)}")
    for key in ("TRAIN.CHECKPOINT_ACTIVATIONS", "TRAIN.COMPILE"):
        value = OmegaConf.select(config, key)
        if not isinstance(value, bool):
            raise ConfigError(f"{key} is {value!r}; it must be true or false")
    lists: dict[str, tuple[str, ...]] = {"METRIC.TYPE": METRICS, "LOGGER.TYPE": LOGGERS}
    for key, known in lists.items():
        names = OmegaConf.select(config, key)
        names = [names] if isinstance(names, str) else list(names)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ConfigError(f"{key} has {unknown}; choose from {list(known)}")
        OmegaConf.update(config, key, names)


def _shrink(config: DictConfig) -> None:
    """Make a run so small that it touches every stage within moments, away from real results.

    Outputs and token files go to ``debug`` folders. The tokenizer is that of an earlier debug run
    where there is one, else the real one.
    """
    if config.TRAIN.RESUME:
        raise ConfigError("TRAIN.RESUME goes on with a real run: add --nodebug")
    config.OUTPUT.EXPERIMENTS = f"{config.OUTPUT.EXPERIMENTS}/debug"
    config.OUTPUT.VISUALIZE = f"{config.OUTPUT.VISUALIZE}/debug"
    config.TEST.FOLDER = f"{config.TEST.FOLDER}/debug"
    config.DATASET.CODE_PATH = f"{config.DATASET.CODE_PATH}-debug"
    config.TRAIN.END_EPOCH = 2
    config.LOGGER.VAL_EVERY_STEPS = 1
    for section in (config.TRAIN, config.EVAL, config.TEST):
        section.NUM_WORKERS = 0
        section.BATCH_SIZE = min(section.BATCH_SIZE, 4)
    config.RENDER.CLIPS = 1
    decoding = config.model.generator.decoding.params
    decoding.max_steps = min(decoding.max_steps, 20)
    config.model.text_decoder.max_pieces = min(config.model.text_decoder.max_pieces, 20)


#: Clips of a split that a debug run uses.
DEBUG_CLIPS = 8


def parse_command_line(
    description: str,
    extend: Callable[[argparse.ArgumentParser], None] | None = None,
    arguments: Sequence[str] | None = None,
) -> tuple[DictConfig, argparse.Namespace]:
    """The options that all commands share, plus those that ``extend`` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cfg", required=True, help="a YAML file, such as configs/soke.yaml")
    parser.add_argument("--nodebug", action="store_true", help="the real run, not a short trial")
    parser.add_argument("--batch_size", type=int, help="of training and of testing")
    parser.add_argument("--device", type=int, nargs="+", help="GPU indices")
    parser.add_argument("--num_nodes", type=int)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="any configuration value")
    if extend is not None:
        extend(parser)
    # KEY=VALUE is taken out first: it must not be swallowed by an option of several values.
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    known = tuple(f"{key}{end}" for key in map(str, _load(SCHEMA)) for end in ".=")
    overrides = [word for word in arguments if word.startswith(known) and "=" in word]
    options = parser.parse_args([word for word in arguments if word not in overrides])
    overrides += [*options.overrides, *as_overrides(options)]
    return load_config(options.cfg, overrides, debug=False if options.nodebug else None), options


def as_overrides(options: argparse.Namespace) -> list[str]:
    """The options of `parse_command_line` that stand for configuration values, as ``KEY=VALUE``."""
    overrides = []
    if options.batch_size is not None:
        overrides += [f"{section}.BATCH_SIZE={options.batch_size}" for section in ("TRAIN", "TEST")]
    if options.device is not None:
        overrides.append(f"DEVICE=[{','.join(map(str, options.device))}]")
    if options.num_nodes is not None:
        overrides.append(f"NUM_NODES={options.num_nodes}")
    return overrides


def plain(node: DictConfig | ListConfig) -> Any:
    """A configuration node as plain dicts, lists and values."""
    return OmegaConf.to_container(node, resolve=True)


def locate(target: str) -> Callable[..., Any]:
    """Import what a ``target`` names: a dotted path, or a bare name of ``torch.optim``."""
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module or "torch.optim"), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"target {target!r} cannot be imported: {error}") from None


def check_params(target: str, params: dict[str, object]) -> Callable[..., Any]:
    """The callable that ``target`` names, after checking that it takes ``params``."""
    function = locate(target)
    accepted = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return function
    for name in params:
        if name not in accepted:
            nearest = difflib.get_close_matches(name, accepted, n=1, cutoff=0.0)[0]
            raise ConfigError(f"{target} takes no {name!r}; did you mean {nearest!r}?")
    return function
