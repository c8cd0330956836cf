"""What an evaluation has found so far: it survives being killed and is shared by processes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from soke.files import atomic_path, locked

log = logging.getLogger(__name__)

_FINGERPRINT = "basis.json"


@dataclass(frozen=True)
class Record:
    """What was found for one portion of a system's clips."""

    system: str
    run: int
    portion: int
    rows: list[dict[str, object]]  # one per clip
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    frames: int = 0  # generated frames
    counts: list[list[int]] = field(default_factory=list)  # how often each code of a part occurs

    @property
    def key(self) -> tuple[str, int, int]:
        return self.system, self.run, self.portion


class Journal:
    """Records in a folder: one file per process, one line per record, in the order they were found.

    A line that a kill cut off is skipped, and its portion is measured again. The fingerprint is
    everything that the numbers depend on; `open` discards records with another one.
    """

    def __init__(self, folder: str | Path, rank: int = 0) -> None:
        self.folder = Path(folder)
        self.rank = rank

    def locked(self) -> AbstractContextManager[None]:
        """Keep other evaluations away from the folder.

        Raises ``ValueError`` if another one is running.
        """
        path = self.folder.with_name(f".{self.folder.name}.lock")
        return locked(
            path,
            f"another evaluation writes to {path.parent} (it holds {path}): wait for it, or choose "
            "another folder with NAME=...",
        )

    def open(self, fingerprint: Mapping[str, object]) -> bool:
        """Keep the records of an interrupted evaluation with the same fingerprint.

        Returns whether there was one; otherwise the journal is new. Only one process may call this.
        """
        text = json.dumps(fingerprint, sort_keys=True, ensure_ascii=False, indent=1, default=str)
        path = self.folder / _FINGERPRINT
        if path.exists() and path.read_text(encoding="utf-8") != text:
            log.info("%s is of other models or settings: starting anew", self.folder)
            self.close()
        if path.exists():
            return True
        self.close()
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return False

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def append(self, record: Record) -> None:
        """Add a record; it is on disk when this returns."""
        line = json.dumps(asdict(record), ensure_ascii=False)
        code = hashlib.sha256(line.encode()).hexdigest()[:16]
        with (self.folder / f"records-{self.rank}.jsonl").open("a", encoding="utf-8") as file:
            # The previous line may have been cut off; an empty line in between does no harm.
            file.write(f"\n{code} {line}\n")
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> list[Record]:
        """All complete records of all processes, each portion once, in order of their keys."""
        found: dict[tuple[str, int, int], Record] = {}
        for path in sorted(self.folder.glob("records-*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                code, _, content = line.partition(" ")
                if hashlib.sha256(content.encode()).hexdigest()[:16] == code:
                    record = Record(**json.loads(content))
                    found.setdefault(record.key, record)
        return [found[key] for key in sorted(found)]


def portions(count: int, size: int) -> list[range]:
    """``count`` clips in portions of ``size``, whatever the number of processes.

    A clip is then always measured together with the same others, so that even the last digits of
    its numbers agree.
    """
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def missing_portions(
    records: Sequence[Record], systems: Sequence[tuple[str, int]], count: int
) -> list[tuple[str, int, int]]:
    """Keys of the portions that no process has measured yet, in order."""
    done = {record.key for record in records}
    keys = ((name, run, portion) for name, run in systems for portion in range(count))
    return [key for key in keys if key not in done]
