"""Runs `soke COMMAND` for ``python -m prepare.NAME``, as earlier versions called it."""

from __future__ import annotations

import sys

from prepare import OLD_COMMANDS
from soke.cli.main import main

if __name__ == "__main__":
    assert __spec__ is not None
    command = OLD_COMMANDS[__spec__.name].split()
    sys.stderr.write(f"note: this command is now called `soke {' '.join(command)}`\n")
    sys.argv = ["soke", *command, *sys.argv[1:]]
    main()
