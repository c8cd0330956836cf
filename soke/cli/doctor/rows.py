"""A check of a run, and how it becomes one row of the table."""

from __future__ import annotations

import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soke.cli.doctor.run import CheckedRun

log = logging.getLogger(__name__)

#: States of a row. A note stops nothing, but is worth knowing.
OK = "ok"
NOTE = "note"
MISSING = "missing"
WRONG = "wrong"
#: Who needs a thing: without those for `TRAIN` training does not start.
TRAIN = "train"
TEST = "test"
VIDEOS = "vis_mesh"
TOKENS = "get_motion_code"
TOKENIZER = "the tokenizer's training"
#: Letters of a message that are shown: an error may list thousands of tensors.
_LONGEST = 700
#: Warnings that are shown of one check.
_MOST = 3


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    ``look`` returns a detail to print, warns of what is worth knowing, and raises where the thing
    is missing or wrong, with a message that says what to do; ``remedy`` is added where the thing is
    wrong. The check has to wait where one that ``after`` names has failed.
    """

    what: str
    look: Callable[[CheckedRun], str]
    needed_for: str = TRAIN
    after: Sequence[str] = ()
    remedy: str = ""


@dataclass(frozen=True)
class Row:
    """What a check found; ``detail`` has one line, and one more for each warning."""

    what: str
    state: str
    detail: str
    needed_for: str

    @property
    def failed(self) -> bool:
        return self.state in (MISSING, WRONG)

    @property
    def stops(self) -> bool:
        """Whether training could not start because of it."""
        return self.failed and self.needed_for == TRAIN


def examine(check: Check, run: CheckedRun) -> Row:
    """Look, and turn whatever happens into a row."""
    with collected_warnings() as said:
        try:
            detail = check.look(run)
            state = NOTE if said else OK
        except Exception as error:  # a damaged file can raise almost anything
            detail = _message(error)
            state = MISSING if isinstance(error, FileNotFoundError) else WRONG
            if state == WRONG and check.remedy:
                detail = f"{detail}. {check.remedy}"
    if state == NOTE:
        lines = [f"! {_shortened(message)}" for message in said[:_MOST]]
        if len(said) > _MOST:
            lines.append(f"! and {len(said) - _MOST:,} more warnings")
        detail = "\n".join([detail, *lines])
    return Row(check.what, state, detail, check.needed_for)


def warn(message: str) -> None:
    """Say from within a check what is worth knowing, as all functions do: by the log."""
    log.warning("%s", message)


def _message(error: Exception) -> str:
    if isinstance(error, ValueError | FileNotFoundError):
        return _shortened(str(error))
    return _shortened(f"{type(error).__name__}: {error}")


def _shortened(message: str) -> str:
    """On one line and not too long."""
    return textwrap.shorten(message, _LONGEST, placeholder=" ...")


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what the package warns of within the block, each message once, instead of logging."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if not any(other.endswith(message) for other in said):
                said.append(message)

    logger = logging.getLogger("soke")
    before = (logger.propagate, logger.handlers)
    logger.propagate = False
    logger.handlers = [Collector(logging.WARNING)]
    try:
        with warnings.catch_warnings(action="ignore"):
            yield said
    finally:
        logger.propagate, logger.handlers = before
