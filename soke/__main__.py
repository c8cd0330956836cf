"""`python -m soke`: the same as the command `soke`."""

from soke.cli.main import main

if __name__ == "__main__":
    main()
