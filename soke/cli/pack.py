"""Pack the poses of the configured data sets into memory-mapped arrays, one shard per split."""

from __future__ import annotations

import sys

from soke.config import parse_command_line


def main() -> None:
    # A trial run would read every clip too, only with fewer processes.
    arguments = [*sys.argv[1:], "--nodebug"]
    config, _ = parse_command_line(__doc__, arguments=arguments)
    from soke.assemble.pack_poses import pack_all
    from soke.assemble.process import open_run

    run = open_run(config)
    pack_all(run)
