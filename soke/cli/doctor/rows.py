"""A line of the doctor's table, and how an error becomes one."""

from __future__ import annotations

import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

#: Who needs a thing (`Row.needed_for`): without those for `TRAIN` training does not start.
TRAIN, TEST, VIDEOS = "train", "test", "vis_mesh"
TOKENS, TOKENIZER = "get_motion_code", "the tokenizer's training"
#: Letters of a message that are shown; an error may list thousands of tensors.
_SHOWN = 500


class State(Enum):
    FOUND = "found"
    MISSING = "missing"
    WRONG = "wrong"
    NOTE = "note"  # nothing stops, but it is worth knowing


@dataclass(frozen=True)
class Row:
    """One thing that was looked at.

    ``advice`` and ``command`` (to paste into a shell) say how it is mended. ``needed_for`` is
    `TRAIN`, or who else needs the thing.
    """

    what: str
    state: State
    detail: str
    advice: str = ""
    command: str = ""
    needed_for: str = TRAIN

    @property
    def stops(self) -> bool:
        """Whether training could not start because of it."""
        return self.state in (State.MISSING, State.WRONG) and self.needed_for == TRAIN


@dataclass(frozen=True)
class Fix:
    """How a thing is mended: in words, by a command, or both."""

    advice: str = ""
    command: str = ""


def found(what: str, detail: str, needed_for: str = TRAIN) -> Row:
    return Row(what, State.FOUND, detail, needed_for=needed_for)


def note(what: str, detail: str, fix: Fix = Fix()) -> Row:
    return Row(what, State.NOTE, detail, fix.advice, fix.command)


def missing(what: str, detail: str, fix: Fix, needed_for: str = TRAIN) -> Row:
    return Row(what, State.MISSING, detail, fix.advice, fix.command, needed_for)


def wrong(what: str, detail: str, fix: Fix, needed_for: str = TRAIN) -> Row:
    return Row(what, State.WRONG, detail, fix.advice, fix.command, needed_for)


def describe(error: Exception) -> str:
    """The message of an error, on one line and not too long."""
    message = str(error)
    if not isinstance(error, ValueError | FileNotFoundError):
        message = f"{type(error).__name__}: {message}"
    return textwrap.shorten(message, _SHOWN, placeholder=" ...")


def examine(
    look: Callable[[], Row], what: str, fix: Fix, needed_for: str = TRAIN, mend: Fix | None = None
) -> Row:
    """The row that ``look`` returns; if it raises, a row that says so.

    ``fix`` helps where something is missing and, unless ``mend`` is given, where it is wrong.
    """
    try:
        return look()
    except FileNotFoundError as error:
        return missing(what, describe(error), fix, needed_for)
    except Exception as error:
        # A damaged file can raise almost anything, and the other checks have to go on.
        return wrong(what, describe(error), mend or fix, needed_for)


@contextmanager
def quiet(name: str = "soke") -> Iterator[list[str]]:
    """Collect what a package warns of within the block instead of logging it."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger(name)
    before = logger.level, logger.propagate, logger.handlers
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers = [handler]
    try:
        with warnings.catch_warnings(action="ignore"):
            yield messages
    finally:
        logger.setLevel(before[0])
        logger.propagate, logger.handlers = before[1:]
