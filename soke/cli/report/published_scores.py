"""The published scores that ours stand beside, and whether they may be compared."""

from __future__ import annotations

from soke.cli.run_results import Results

#: SOKE, text to motion (Zuo et al.): score, data set, metres summed along the warping path.
PUBLISHED: dict[str, dict[str, float]] = {
    "DTW_PA_JPE_body": {"how2sign": 6.82, "csl": 6.24, "phoenix": 4.77},
    "DTW_PA_JPE_hands": {"how2sign": 2.35, "csl": 1.71, "phoenix": 1.38},
    "DTW_JPE_body": {"how2sign": 7.75, "csl": 7.38, "phoenix": 6.04},
    "DTW_JPE_hands": {"how2sign": 10.08, "csl": 9.68, "phoenix": 7.72},
}
CORPUS_TITLES = {"how2sign": "How2Sign", "csl": "CSL-Daily", "phoenix": "Phoenix-2014T"}
#: The split that was published.
SPLIT = "test"


def differences(results: Results) -> list[str]:
    """Why the scores are not of the same thing as the published ones; empty if nothing is known."""
    reasons = []
    if results.about["stand_in"]:
        reasons.append(
            f"the body is the {results.about['body']}, which has other sizes and other points"
        )
    if results.about["split"] != SPLIT:
        reasons.append(f"the clips are of the split {results.about['split']!r}, not {SPLIT!r}")
    if results.setting("DEBUG"):
        reasons.append("it was a short trial on a few clips (DEBUG)")
    if results.setting("METRIC", "WINDOW") is not None:
        reasons.append("the warping had a window (METRIC.WINDOW)")
    if results.setting("DATASET", "TEXTS") is not None:
        reasons.append("only some texts were chosen (DATASET.TEXTS)")
    return reasons
