"""Render clips, texts, tokens, motion files or codes: the command `soke show`."""

from soke.cli.main import run_verb
from soke.cli.show.command import main

if __name__ == "__main__":
    run_verb(main)
