"""Checks what a run needs before it starts: `checks` is the table, `rows` says what a row is."""
