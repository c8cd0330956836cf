"""`python -m prepare.export_generator`, the name of earlier versions."""

from soke.cli.export import generator
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(generator)
