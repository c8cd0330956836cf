"""Reading pickles from strangers.

Python's own unpickler trusts a file: it calls what is named, reserves memory for any memo index,
hashes keys nested deeper than the C stack. So it is not used. A small machine replays the opcodes
itself, and for any file:

- Nothing of the file runs. Of all that it names only the few calls that numpy writes mean anything,
  and arrays are built here from checked content. Whatever else it holds becomes an `Unread` value,
  so that a field that nobody needs does not stop a file.
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
from soke.unpickling.values import Unread, UnsafePickleError, check_tree

__all__ = ["Unread", "UnsafePickleError", "safe_load_pickle", "safe_loads"]

#: Bytes of a file, and bytes that a compressed one may unpack to.
_MAX_FILE = 2**30
_MAX_UNPACKED = 2**28
#: What a file runs into that is truncated, forged or of another format.
_DAMAGE = (ValueError, TypeError, LookupError, EOFError, MemoryError, OverflowError, zlib.error)


def safe_load_pickle(path: str | Path) -> object:
    """Read a pickle (protocols 0 to 5, plain or gzip'd) from an untrusted source.

    What is read: numpy arrays and scalars (bool, numbers, strings; arrays also of objects), dict
    (an OrderedDict becomes one), list, tuple, str, bytes, numbers, bool and None. Any other value
    within them, such as a torch tensor, a set or an instance of a class, becomes an `Unread` value
    that says what it was; so does a key that is not str, bytes, bool, None or a real number of up
    to 64 bits. Raises `UnsafePickleError` (a ``ValueError``) that names the file and the reason
    where the file as a whole is such a value, and for truncated, empty, forged or damaged files,
    also where something follows the pickle; ``FileNotFoundError`` if there is no such file.
    """
    path = Path(path)
    with path.open("rb", buffering=0) as file:  # a buffer costs as much as the reading
        size = os.fstat(file.fileno()).st_size
        if size > _MAX_FILE:
            raise UnsafePickleError(f"{path} has {size} bytes; pickles have up to {_MAX_FILE}")
        data = file.read(size)
    return safe_loads(data, path)


def safe_loads(data: bytes, where: str | Path) -> object:
    """Like `safe_load_pickle`, from bytes; ``where`` is what errors call their source."""
    try:
        value = _load(_unpack(data))
        if isinstance(value, Unread):
            raise UnsafePickleError(f"it holds nothing but {value.name}")
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{where} is not a file that SOKE reads: {error}") from None
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise UnsafePickleError(
            f"{where} cannot be read as a pickle ({reason}). It is probably truncated or of "
            "another format: fetch it again"
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
