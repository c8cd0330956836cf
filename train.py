"""Train the tokenizer, the generator or the text decoder: the command `soke train`."""

from soke.cli.main import run_verb
from soke.cli.train import main

if __name__ == "__main__":
    run_verb(main)
