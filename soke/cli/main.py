"""How a verb starts and how it stops when the user can mend what is wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

#: What shells report of a process that SIGTERM or Ctrl-C has ended.
TERMINATED, INTERRUPTED = 128 + signal.SIGTERM, 128 + signal.SIGINT


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
        self.received, self._process = False, os.getpid()

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
