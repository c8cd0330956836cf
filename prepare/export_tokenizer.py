"""`python -m prepare.export_tokenizer`, the name of earlier versions."""

from soke.cli.export import tokenizer
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(tokenizer)
