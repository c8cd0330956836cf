"""mBART folders, their weights and their text tokenizer."""
