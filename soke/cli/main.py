"""The command `soke`: its table of subcommands, and how each of them starts and ends.

Only the module of the chosen subcommand is imported, and it imports torch and the like after it has
parsed its options, so that every ``--help`` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

#: What shells report of a process that SIGTERM or Ctrl-C has ended.
TERMINATED = 128 + signal.SIGTERM
INTERRUPTED = 128 + signal.SIGINT


def run_verb(main: Callable[[], None]) -> None:
    """Run ``main``; what a user can get wrong ends in one message instead of a traceback.

    ``--help`` and success exit with 0, an error that names its remedy with 1, Ctrl-C with 130,
    SIGTERM with 143 after temporary files were removed.
    """
    termination = _Termination()
    try:
        with termination:
            main()
    except (ValueError, FileNotFoundError) as error:
        logging.getLogger("soke").debug("where it happened:", exc_info=True)
        sys.stderr.write(f"\nerror: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit:
        # Lightning ends an interrupted training at its next batch, and then says success.
        if termination.received:
            sys.exit(TERMINATED)
        raise


class _Termination:
    """Turns SIGTERM into ``SystemExit``, so that whatever has to be cleaned up is cleaned up.

    Lightning puts a handler of its own over this one while it trains, and calls this one from
    there: then only the receipt is noted, and Lightning ends the run (or, where SLURM requeues it,
    lets it go on).
    """

    def __init__(self) -> None:
        self.received = False
        self._process = os.getpid()

    def __enter__(self) -> None:
        # Python lets only the main thread set handlers.
        self._set = threading.current_thread() is threading.main_thread()
        if self._set:
            self._before = signal.signal(signal.SIGTERM, self)

    def __exit__(self, *_: object) -> None:
        if self._set:
            signal.signal(signal.SIGTERM, self._before)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker that was forked has nothing to clean up
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.received = True
        if signal.getsignal(number) is self:
            sys.exit(TERMINATED)


@dataclass(frozen=True)
class Command:
    """One subcommand of `soke`."""

    module: str  # has ``main()``, which reads ``sys.argv``
    summary: str


COMMANDS = {
    "train": Command("soke.cli.train", "train the tokenizer, the generator or the text decoder"),
    "test": Command("soke.cli.test", "evaluate a trained run, or saved predictions"),
    "tokens": Command("soke.cli.tokens", "write the motion tokens of all clips"),
    "show": Command("soke.cli.show.command", "render clips, texts, tokens, motion files or codes"),
    "doctor": Command("soke.cli.doctor.__main__", "check everything that a run needs"),
    "describe": Command("soke.cli.describe.__main__", "data sets in numbers and figures"),
    "report": Command("soke.cli.report.__main__", "one page about a test run"),
    "compare": Command("soke.cli.compare", "how two test runs differ, clip by clip"),
    "plot": Command("soke.cli.plot", "loss and score curves of a training run"),
    "retrieve": Command("soke.cli.retrieve", "which dictionary signs a text retrieves"),
    "export": Command("soke.cli.export", "write a generator or a tokenizer in another format"),
    "pack": Command("soke.cli.pack", "pack poses into memory-mapped arrays"),
    "statistics": Command("soke.cli.statistics", "mean and deviation of the training poses"),
    "dictionary": Command("soke.cli.dictionary", "make sign dictionaries from isolated signs"),
    "vocabulary": Command("soke.cli.trim_vocabulary", "cut a full mBART to your texts"),
    "small-mbart": Command("soke.cli.small_mbart", "make a small mBART to train from scratch"),
    "embedding-scale": Command("soke.cli.embedding_scale", "how published weights were scaled"),
    "fingerspelling": Command("prepare.fingerspelling.__main__", "make the data sets of the demo"),
    "demo": Command("prepare.demo", "run the whole system on real recordings"),
}


def usage() -> str:
    """The table of subcommands."""
    lines = [f"  {name:17}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: soke COMMAND [OPTIONS] [KEY=VALUE ...]",
            "",
            "Written text in, signing 3D avatars out.",
            "",
            *lines,
            "",
            "`soke COMMAND --help` lists the options of a command.",
            "",
        ]
    )


def main() -> None:
    """Run the subcommand that ``sys.argv`` names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(usage())
        return
    if name == "--version":
        from soke import __version__

        sys.stdout.write(f"soke {__version__}\n")
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        sys.stderr.write(f"error: soke has no command {name!r}{hint}\n\n{usage()}")
        sys.exit(2)
    sys.argv = [f"soke {name}", *arguments]
    run_verb(importlib.import_module(COMMANDS[name].module).main)
