"""The command `soke`: one module per subcommand."""
