"""Reading pickles from strangers.

Python's own unpickler trusts a file: it calls what is named, reserves memory for any memo index,
hashes keys nested deeper than the C stack. So it is not used. A small machine replays the opcodes
itself, and for any file:

- Nothing of the file runs. The few names that numpy writes are noted, and arrays are built here
  from checked content.
- Time and memory grow at most in proportion to the file, and the steps are counted. Lengths are
  believed only within the file, arrays are no larger than the bytes there are for them, and the
  keys of a dict are simple values that cannot be chosen to collide.
- What comes back is a tree of bounded depth: nothing holds itself, and what is shared counts as
  often as it is referred to, so that comparing or printing it ends.

`values` says what is admitted, `machine` what the steps do, `opcodes` how they are written; `alike`
spares the steps for files that differ in the numbers of their arrays only, as frames do.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from soke.unpickling.alike import read_alike, remember
from soke.unpickling.machine import Machine
from soke.unpickling.opcodes import replay
from soke.unpickling.values import UnsafePickleError, check_tree

__all__ = ["UnsafePickleError", "safe_load_pickle"]

#: Bytes of a file, and bytes that a compressed one may unpack to.
_MAX_FILE, _MAX_UNPACKED = 2**30, 2**28
#: What a file runs into that is truncated, forged or of another format.
_DAMAGE = (ValueError, TypeError, LookupError, EOFError, MemoryError, OverflowError, zlib.error)


def safe_load_pickle(path: str | Path) -> object:
    """Read a pickle (protocols 0 to 5, plain or gzip'd) from an untrusted source.

    Admitted are numpy arrays and scalars (bool, numbers, strings; arrays also of admitted objects),
    dict (an OrderedDict becomes one), list, tuple, str, bytes, numbers, bool and None. Keys are
    str, bytes, bool, None and real numbers of up to 64 bits. Raises `UnsafePickleError` (a
    ``ValueError``) that names the file and the reason for anything else, such as other classes and
    functions, torch tensors, sparse matrices and sets, and for truncated, empty or damaged files,
    also where something follows the pickle; ``FileNotFoundError`` if there is no such file.
    """
    path = Path(path)
    with path.open("rb", buffering=0) as file:  # a buffer costs as much as the reading
        size = os.fstat(file.fileno()).st_size
        if size > _MAX_FILE:
            raise UnsafePickleError(f"{path} has {size} bytes; pickles have up to {_MAX_FILE}")
        data = file.read(size)
    try:
        value = _load(_unpack(data))
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path} is not a file that SOKE reads: {error}") from None
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise UnsafePickleError(
            f"{path} cannot be read as a pickle ({reason}). It is probably truncated or of another "
            "format: fetch it again"
        ) from error
    return value


def _load(data: bytes) -> object:
    if not data:
        raise EOFError("it is empty")
    value = read_alike(data)
    if value is None:
        machine = Machine(len(data))
        value = replay(data, machine)
        check_tree(value)
        remember(data, value, machine)
    return value


def _unpack(data: bytes) -> bytes:
    """Decompress gzip'd content, but not beyond `_MAX_UNPACKED`; leave any other as it is."""
    if data[:2] != b"\x1f\x8b":
        return data
    stream = zlib.decompressobj(wbits=31)  # a gzip header and a checksum
    unpacked = stream.decompress(data, _MAX_UNPACKED + 1)
    if len(unpacked) > _MAX_UNPACKED:
        raise UnsafePickleError(f"it unpacks to more than {_MAX_UNPACKED} bytes")
    if not stream.eof:
        raise EOFError("its compressed content ends early")
    if stream.unused_data.strip(b"\0"):
        raise ValueError("something follows its compressed content")
    return unpacked
