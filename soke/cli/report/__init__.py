"""One self-contained page about a test run: scores, distributions, clips to watch.

`page` puts everything into the template, with `formats`, `distributions`, `clips` and `films`.
"""
