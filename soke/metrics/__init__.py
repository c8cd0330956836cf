"""DTW, reconstruction, generation and retrieval scores."""
