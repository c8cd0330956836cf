"""Checks what a run needs before it is started.

`rows` says what a line of the table is, `run` what is checked and by which commands it is mended;
`settings`, `data`, `tokens`, `models` and `machine` look at one subject each; `table` prints.
"""
