"""Clips in an LMDB, as SignSparK releases its data sets: one record per clip.

The key ``__meta__`` has a pickled dict with the list ``clip_ids``; the record of a clip is the
bytes of an ``.npz`` with ``translation``, ``gloss``, ``language`` (one text each), ``segment`` [T]
and the features of four streams, rotations as the first two rows of their matrices.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import lmdb
import numpy as np

from soke.data.motion.hands import Hands
from soke.data.motion.reader import Motion, relative_to
from soke.data.motion.resampling import six_to_axis_angle
from soke.parts import FRAME_SIZE, frame_slices
from soke.unpickling import safe_loads

LMDB_SUFFIX = ".lmdb"
_INDEX = b"__meta__"
#: Of a body's 21 joints the lower ones are not kept.
_LOWER_JOINTS = 11
_COLUMNS = frame_slices()


def list_records(path: Path) -> Iterator[tuple[str, dict[str, str] | ValueError]]:
    """The clips of a data set with the texts of each: ``translation``, ``gloss``, ``language``.

    In place of a record's texts there may be what is wrong with it.
    """
    with _opened(path).begin() as transaction:
        index = transaction.get(_INDEX)
        if index is None:
            raise ValueError(f"{path} has no key {_INDEX.decode()}: it is not a set of clips")
        content = safe_loads(index, f"{path}, {_INDEX.decode()}")
        names = content.get("clip_ids") if isinstance(content, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{path}, {_INDEX.decode()}: 'clip_ids' has to be a list of names")
        for name in names:
            try:
                yield name, _texts(path, name, transaction.get(name.encode()))
            except (ValueError, lmdb.Error) as error:
                yield name, ValueError(f"{path}, clip {name!r}: {error}")


def fingerprint(path: Path) -> str:
    """What tells versions of a data set apart: its list of clips and its size."""
    with _opened(path).begin() as transaction:
        index = transaction.get(_INDEX, b"")
    size = data_file(path).stat().st_size
    return hashlib.sha256(index + str(size).encode()).hexdigest()


def data_file(path: Path) -> Path:
    """The file that holds the records: ``path`` itself, or within that folder."""
    return path / "data.mdb" if path.is_dir() else path


def read_record(path: Path, name: str, hands: Hands | None) -> Motion:
    """The motion of a clip. Raises ``ValueError`` that names file, clip and key."""
    with _opened(path).begin() as transaction:
        record = transaction.get(name.encode())
    where = f"{path}, clip {name!r}"
    with _arrays(where, record) as arrays:
        streams = {
            stream: _features(where, arrays, f"{stream}_features", width)
            for stream, width in (("body", 126), ("left", 90), ("right", 90), ("face", 6))
        }
        segments = _segments(arrays)
    body = streams["body"].copy()
    body[:, : _LOWER_JOINTS * 6] = 0
    frames = join_streams(where, body, streams["left"], streams["right"], streams["face"], hands)
    texts = _texts(path, name, record)
    return Motion(
        frames=frames,
        form="SignSparK",
        hands="flat",
        reason="as in SignSparK",
        text=texts.get("translation", ""),
        language=texts.get("language", ""),
        gloss=texts.get("gloss", ""),
        segments=segments,
    )


def join_streams(
    where: str,
    body: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    face: np.ndarray,
    hands: Hands | None,
) -> np.ndarray:
    """Frames ``[T, 179]`` from streams of rotations, six numbers each.

    ``body`` [T, 126], ``left`` and ``right`` [T, 90 or more] with flat hands, ``face`` [T, 6 or
    more]: the jaw, then the expression.
    """
    lengths = {len(stream) for stream in (body, left, right, face)}
    if len(lengths) != 1 or not len(body):
        raise ValueError(f"{where}: the streams need one number of frames, found {lengths}")
    frames = np.zeros((len(body), FRAME_SIZE), np.float32)
    for key, stream in (
        ("smplx_body_pose", body[:, :126]),
        ("smplx_lhand_pose", left[:, :90]),
        ("smplx_rhand_pose", right[:, :90]),
        ("smplx_jaw_pose", face[:, :6]),
    ):
        joints = six_to_axis_angle(stream.reshape(len(stream), -1, 6))
        frames[:, _COLUMNS[key]] = joints.reshape(len(stream), -1)
    expression = face[:, 6:16]
    start = _COLUMNS["smplx_expr"].start
    frames[:, start : start + expression.shape[1]] = expression
    return relative_to(where, hands, frames)


def _arrays(where: str, record: bytes | None) -> np.lib.npyio.NpzFile:
    if record is None:
        raise ValueError(f"{where}: there is no such record")
    try:
        return np.lib.npyio.NpzFile(io.BytesIO(record), allow_pickle=False)
    except Exception as error:
        raise ValueError(
            f"{where} cannot be read as .npz ({type(error).__name__}: {error})"
        ) from error


def _features(where: str, arrays: Mapping[str, np.ndarray], key: str, width: int) -> np.ndarray:
    try:
        value = arrays[key]
    except Exception as error:
        raise ValueError(f"{where}: {key!r} cannot be read ({error})") from None
    if value.dtype.kind != "f" or value.ndim != 2 or value.shape[1] < width:
        raise ValueError(
            f"{where}: {key!r} has to be numbers [T, {width} or more], found {value.dtype} of "
            f"shape {list(value.shape)}"
        )
    if not np.isfinite(value).all():
        raise ValueError(f"{where}: {key!r} holds values that are not finite")
    return value


def _segments(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The segments of a record; None where they cannot be read, since motion does not need them."""
    try:
        return arrays.get("segment")
    except Exception:
        return None


def _texts(path: Path, name: str, record: bytes | None) -> dict[str, str]:
    """The texts of a record; of those that are objects or numbers nothing is read."""
    texts = {}
    with _arrays(f"{path}, clip {name!r}", record) as arrays:
        for key in ("translation", "gloss", "language"):
            try:
                value = arrays[key]
            except (KeyError, ValueError):
                continue
            except Exception as error:  # a damaged archive can raise almost anything
                raise ValueError(f"{key!r} cannot be read ({error})") from None
            if value.dtype.kind == "U" and value.size == 1:
                texts[key] = str(value.item())
    return texts


@lru_cache(maxsize=16)
def _open(path: Path) -> lmdb.Environment:
    try:
        environment = lmdb.open(
            str(path), readonly=True, lock=False, subdir=path.is_dir(), readahead=False
        )
        pages = environment.info()["last_pgno"] + 1
        size = pages * environment.stat()["psize"]
    except lmdb.Error as error:
        raise ValueError(f"{path} cannot be opened as an LMDB: {error}") from None
    found = data_file(path).stat().st_size
    if found < size:  # reading beyond the end of a mapped file ends the process
        environment.close()
        raise ValueError(f"{path} is truncated: it has {found:,} bytes of {size:,}; fetch it again")
    return environment


def _opened(path: Path) -> lmdb.Environment:
    return _open(Path(path).resolve())


# An environment must not be used in a process that was forked from the one that opened it, and
# there it cannot be opened again while it is open.
os.register_at_fork(before=_open.cache_clear)
