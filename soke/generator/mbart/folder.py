"""mBART folders: ``config.json``, weights, text pieces and ``map_ids.pkl``, read and written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import MBartConfig

from soke.checkpoints import SAFETENSORS, read_checkpoint, read_folder, write_safetensors
from soke.files import require
from soke.generator.mbart.text_tokenizer import SENTENCEPIECE, SPECIALS, TOKENIZER, read_json
from soke.generator.mbart.weights import Weights
from soke.unpickling import safe_load_pickle

if TYPE_CHECKING:
    from soke.generator.vocabulary import Vocabulary

CONFIG = "config.json"
MAPPING = "map_ids.pkl"
#: A folder of `soke.cli.export_generator` also says what the rows are,
ROWS = "rows.json"
#: and holds the tensors that an mBART does not have.
REST = "fusion.safetensors"
REMEDY = (
    "Put the trimmed mBART there (config.json, weights, sentencepiece.bpe.model, map_ids.pkl), cut "
    "one to your texts with `soke vocabulary`, or make a small one for the demo "
    "data with `soke small-mbart`"
)


def read_config(folder: str | Path) -> MBartConfig:
    """The ``config.json`` of an mBART folder.

    Raises `soke.files.MissingAssetError`, or ``ValueError`` when the file is not a configuration.
    """
    path = require(Path(folder) / CONFIG, "The mBART configuration", REMEDY)
    try:
        return MBartConfig.from_json_file(str(path))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not the configuration of an mBART: {error}") from None


def read_map_ids(folder: str | Path) -> dict[int, int]:
    """``map_ids.pkl``: mBART id -> embedding row.

    Raises `soke.files.MissingAssetError` and, naming the fault, ``ValueError`` unless it is a dict
    of whole numbers whose rows are 0 .. n - 1, each once, with mBART's specials in the first four.
    """
    path = require(Path(folder) / MAPPING, "The table of kept pieces", REMEDY)
    content = safe_load_pickle(path)
    hint = f"{path} must be a dict from mBART's ids to embedding rows"
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{hint}; it holds {'nothing' if content == {} else type(content)}")
    for pair in content.items():
        if not all(isinstance(n, Integral) and not isinstance(n, bool) and n >= 0 for n in pair):
            raise ValueError(f"{hint}; it has {pair[0]!r}: {pair[1]!r}")
    rows = {int(index): int(row) for index, row in content.items()}
    taken: dict[int, int] = {}
    for index, row in rows.items():
        if row in taken:
            raise ValueError(f"{hint}; the ids {taken[row]} and {index} both have the row {row}")
        taken[row] = index
    if max(taken) != len(rows) - 1:
        gap = next(row for row in range(len(rows)) if row not in taken)
        raise ValueError(f"{hint}; of its {len(rows)} rows none is {gap}, but one is {max(taken)}")
    for index, name in enumerate(SPECIALS):
        if rows.get(index) != index:
            raise ValueError(
                f"{hint}; {name} (id {index}) must have the row {index}, it has {rows.get(index)}"
            )
    return rows


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """All tensors of ``model.safetensors`` or ``pytorch_model.bin``, whole or in shards.

    Raises `soke.files.MissingAssetError` without any and ``ValueError`` for damaged files.
    """
    remedy = "or train from scratch with model.generator.pretrained=false"
    return read_folder(folder, "The mBART weights", f"Put the trimmed mBART there, {remedy}")


def new_rows(table: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """``count`` rows [count, D] for tokens that the embedding table [V, D] does not know yet.

    Each is drawn as if it were one more row of the table: normal, with the mean and the deviation
    that the rows have in each column. So they have the length and the common direction that the
    layers are used to, score like other pieces in a tied output projection, and differ from each
    other at once. (Rows at the exact mean would all be one token to begin with; rows around zero
    would be shorter than any that the layers have seen.)
    """
    real = table.float()
    real = real[real.abs().sum(dim=1) > 0]  # padding is zero
    noise = torch.randn(count, table.shape[1], generator=generator)
    if len(real) < 2:
        return (0.02 * noise).to(table)
    return (real.mean(dim=0) + real.std(dim=0) * noise.to(real.device)).to(table)


def backbone_state(
    folder: str | Path, vocabulary: Vocabulary, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """What the weights of an mBART folder fill, in the network's names.

    Text rows are the folder's, the rows behind them (languages, codes) come from `new_rows`. A
    folder of `soke.cli.export_generator` has all rows and gives them all. Raises ``ValueError``
    when the folder's table has other rows than its ``map_ids.pkl`` names.
    """
    folder = Path(folder)
    weights = Weights.from_state(read_weights(folder), folder)
    if (folder / ROWS).exists():
        _check_row_table(folder, vocabulary)
        check_rows(len(weights.table), vocabulary, folder)
        return {**weights.to_network(), **read_checkpoint(folder / REST)["state_dict"]}
    if len(weights.table) != vocabulary.text_size:
        raise ValueError(
            f"{folder}: the embedding has {len(weights.table)} rows but {MAPPING} names "
            f"{vocabulary.text_size}"
        )
    count = vocabulary.size - vocabulary.text_size
    return weights.change_tables(
        lambda table: torch.cat([table, new_rows(table, count, generator)]),
        lambda bias: torch.cat([bias, bias.new_zeros(count)]),
    ).to_network()


def check_rows(rows: int, vocabulary: Vocabulary, source: object) -> None:
    """Raise a ``ValueError`` unless a whole embedding table has as many rows as the vocabulary."""
    if rows != vocabulary.size:
        raise ValueError(
            f"{source} has {rows} embedding rows, but the configuration makes {vocabulary.size} "
            f"({vocabulary.describe_rows()}). Make the mBART folder (model.generator.folder), the "
            "sign languages of CORPORA, PARTS and the decoder those that it was trained with"
        )


def _check_row_table(folder: Path, vocabulary: Vocabulary) -> None:
    written = read_json(folder / ROWS)
    own = vocabulary.row_table()
    differing = [key for key in own if written.get(key) != own[key]]
    if differing:
        key = differing[0]
        raise ValueError(
            f"{folder / ROWS} says {key} {written.get(key)}, the configuration makes {own[key]}; "
            "use the PARTS, CORPORA and decoder that the folder was exported with"
        )


def fill(model: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """Load `Weights.to_network` strictly into a generator.

    What else the generator has, its fusion weights, stays as it is unless ``state`` has it too.
    Raises ``ValueError`` that names ``source`` and what is missing, unknown or of another shape.
    """
    own = model.state_dict()
    ours = {key for key in own if key.startswith("backbone.") or key == "bias"}
    optional = {"head.weight", "decoder_table.weight"}
    missing = sorted(ours - set(state))
    unknown = sorted(set(state) - set(own) - optional)
    if missing or unknown:
        raise ValueError(
            f"{source} does not fit: missing {missing[:5]}, unexpected {unknown[:5]}; does the "
            "folder's config.json describe the same number of layers?"
        )
    kept = {key: value for key, value in own.items() if key not in ours | optional}
    tied = dict.fromkeys(optional & set(own) - set(state), state["backbone.shared.weight"])
    try:
        model.load_state_dict({**kept, **tied, **state})
    except RuntimeError as error:
        raise ValueError(f"{source} does not fit: {error}") from None


def check_new(path: str | Path) -> Path:
    """Raise a ``ValueError`` when there is something at ``path``."""
    path = Path(path)
    if path.exists() or path.is_symlink():
        raise ValueError(f"{path} exists and is left alone; remove it or name another folder")
    return path


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes that name only if the block succeeds.

    Raises ``ValueError`` when there is something at ``path`` already.
    """
    path = check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_weights(folder: Path, weights: Weights, config: MBartConfig) -> None:
    """Write ``model.safetensors`` and ``config.json`` as transformers reads them."""
    config = MBartConfig.from_dict(config.to_dict())
    config.vocab_size = len(weights.table)
    config.tie_word_embeddings = weights.tied
    config.architectures = ["MBartForConditionalGeneration"]
    config.to_json_file(folder / CONFIG, use_diff=False)
    write_safetensors(weights.to_transformers(), folder / SAFETENSORS)


def write_rows(folder: Path, vocabulary: Vocabulary, rest: Mapping[str, Tensor]) -> None:
    """Write what each row of a whole table is, and the tensors that only our networks have.

    `backbone_state` reads both.
    """
    text = json.dumps(vocabulary.row_table(), indent=1, ensure_ascii=False)
    (folder / ROWS).write_text(text + "\n", encoding="utf-8")
    write_safetensors(rest, folder / REST)


def write_map_ids(folder: Path, rows: Mapping[int, int]) -> None:
    (folder / MAPPING).write_bytes(pickle.dumps(dict(rows), protocol=4))


def copy_pieces(source: Path, folder: Path) -> None:
    """Copy the files that `soke.generator.mbart.text_tokenizer.open_pieces` reads."""
    for name in (SENTENCEPIECE, TOKENIZER, "tokenizer_config.json"):
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
