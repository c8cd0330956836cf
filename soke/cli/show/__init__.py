"""`soke show` (`python -m vis_mesh`): clips of a test run, texts, token files and motion files."""
