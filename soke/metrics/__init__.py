"""DTW, reconstruction, generation and retrieval scores."""

from soke.metrics.dtw import dtw_jpe, dtw_pa_jpe

__all__ = ["dtw_jpe", "dtw_pa_jpe"]
