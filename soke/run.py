"""How a verb starts and how it stops when the user can mend what is wrong."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable


def run_verb(main: Callable[[], None]) -> None:
    """Run ``main``; what a user can get wrong ends in one message instead of a traceback.

    ``--help`` and success exit with 0, an error that names its remedy with 1, Ctrl-C with 130.
    """
    try:
        main()
    except (ValueError, FileNotFoundError) as error:
        logging.getLogger("soke").debug("where it happened:", exc_info=True)
        sys.stderr.write(f"\nerror: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
