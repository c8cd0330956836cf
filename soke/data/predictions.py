"""Predictions on disk: one ``.npz`` a clip, plain arrays only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soke.files import atomic_path, require


@dataclass(frozen=True)
class Prediction:
    """A generated clip beside its reference."""

    name: str
    corpus: str
    text: str
    keywords: tuple[str, ...]  # retrieved dictionary words
    tokens: np.ndarray  # [S, P]
    generated: np.ndarray  # [T, 133], SMPL-X parameters
    reference: np.ndarray  # [T', 133]
    missing: tuple[str, ...] = ()  # words that were looked for and are not in the dictionary
    codes: tuple[np.ndarray, ...] = ()  # the tokens [n, P] of each keyword
    matches: tuple[str, ...] = ()  # how each keyword was found: "exact", "lemma", ...
    reference_tokens: np.ndarray | None = None  # [S', P]


def prediction_path(results: str | Path, corpus: str, name: str) -> Path:
    return Path(results) / "predictions" / corpus / f"{name}.npz"


def write_prediction(path: Path, prediction: Prediction) -> None:
    known = {}
    if prediction.reference_tokens is not None:
        known["reference_tokens"] = prediction.reference_tokens
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            **known,
            name=prediction.name,
            corpus=prediction.corpus,
            text=prediction.text,
            keywords=np.array(prediction.keywords, dtype=np.str_),
            missing=np.array(prediction.missing, dtype=np.str_),
            # One after another, since they differ in length and only plain arrays are written.
            codes=np.concatenate([prediction.tokens[:0], *prediction.codes]),
            code_lengths=np.array([len(codes) for codes in prediction.codes], dtype=np.int64),
            matches=np.array(prediction.matches, dtype=np.str_),
            tokens=prediction.tokens,
            generated=prediction.generated.astype(np.float32),
            reference=prediction.reference.astype(np.float32),
        )


def read_predictions(results: str | Path, corpus: str) -> list[Prediction]:
    """All predictions of a corpus, by name.

    Raises `soke.files.MissingAssetError` where a test run saved none.
    """
    return [read_prediction(path) for path in prediction_files(results, corpus).values()]


def prediction_files(results: str | Path, corpus: str) -> dict[str, Path]:
    """Files of the predictions of a corpus by the clips' names, in order.

    Raises `soke.files.MissingAssetError` where a test run saved none.
    """
    folder = require(
        prediction_path(results, corpus, "x").parent,
        "The predictions to show",
        "Run `python -m test --task t2m` with TEST.SAVE_PREDICTIONS=true first",
    )
    paths = sorted(folder.rglob("*.npz"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def is_prediction(path: str | Path) -> bool:
    """Whether a file is a prediction of ours, whole or damaged, and not another motion file."""
    path = Path(path)
    if path.suffix != ".npz":
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            return "generated" in file and "reference" in file
    except Exception:
        return True  # its reader says what is wrong with it


def read_prediction(path: str | Path) -> Prediction:
    """The prediction in a file. Raises ``ValueError`` that names it for any other content."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return Prediction(
                name=str(file["name"]),
                corpus=str(file["corpus"]),
                text=str(file["text"]),
                keywords=tuple(file["keywords"].tolist()),
                tokens=file["tokens"],
                generated=file["generated"],
                reference=file["reference"],
                # Files of earlier versions do not say.
                missing=_words(file, "missing"),
                codes=_split(file["codes"], file["code_lengths"]) if "codes" in file else (),
                matches=_words(file, "matches"),
                reference_tokens=file.get("reference_tokens"),
            )
    except Exception as error:
        # A damaged file can raise almost anything from inside its reader.
        raise ValueError(
            f"{path} is not a prediction as `python -m test` writes them "
            f"({type(error).__name__}: {error})"
        ) from error


def _words(file: Mapping[str, np.ndarray], key: str) -> tuple[str, ...]:
    return tuple(file[key].tolist()) if key in file else ()


def _split(codes: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.split(codes, np.cumsum(lengths)[:-1])) if len(lengths) else ()
