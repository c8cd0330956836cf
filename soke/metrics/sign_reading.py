"""Reading dictionary signs back from continuous motion, and how many were misread.

A generated clip is judged by what it says: a reader that knows one recording of each sign finds
the sequence of signs that explains the clip at the lowest cost. It is the one-pass algorithm of
connected word recognition (Ney, "The use of a one-stage dynamic programming algorithm for
connected word recognition", IEEE TASSP 32(2), 1984) with a filler for rest and transitions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numba import njit
from rapidfuzz.distance import Levenshtein

from soke.metrics.dtw import pairwise_cost
from soke.metrics.positions import Array, as_positions


class SignReader:
    """Finds dictionary signs in a clip.

    A frame inside a sign costs its mean distance to a frame of the sign's template; a frame of
    filler costs ``filler_cost``; each sign entered costs ``entry_penalty`` on top. From frame to
    frame the path stays on a template frame, moves on by one, or skips one, so a sign may be
    performed at half to any multiple of the template's duration. A sign is left from its last
    template frame only.

    Args:
        labels: name of each template. Several templates may share a name (variants of a sign).
        templates: ``[n_i, J, 3]`` in metres, one a label, point 0 being the wrist.
        filler_cost: metres a frame. In fingerspelled alphabets (one signer, 21 points of the right
            hand) the letter most like a given one is 0.02 m away, the median one 0.05 m, and the
            same letter at another pace below 0.003 m. Another signer's letter is 0.03-0.04 m away:
            the dictionary has to be of the signer that is read.
        entry_penalty: metres a sign; little more than one frame of filler, so that transitions are
            not read as short signs.
        template_length: frames to which each template is resampled linearly. Its first and last
            frame are then dropped, as they belong to the transition. The default suits signs held
            for 10-14 frames: on such words, 14 misread below 0.5 % of the letters (doubled ones
            read as one), 12 up to 2.5 % (letters that a transition passes).

    Raises:
        ValueError: numbers of labels and templates differ or are 0; a template is not finite or
            not ``[n, J, 3]``; J differs; a cost is negative or not finite; ``template_length`` < 3.
    """

    def __init__(
        self,
        labels: Sequence[str],
        templates: Sequence[Array],
        filler_cost: float = 0.02,
        entry_penalty: float = 0.025,
        template_length: int = 14,
    ) -> None:
        if len(labels) != len(templates) or not len(labels):
            raise ValueError(
                f"expected one template a label and at least one, got {len(labels)} labels and "
                f"{len(templates)} templates"
            )
        if template_length < 3:
            raise ValueError(f"template_length must be 3 or more, got {template_length}")
        for name, value in (("filler_cost", filler_cost), ("entry_penalty", entry_penalty)):
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a finite number >= 0, got {value}")
        self.labels = list(labels)
        self.filler_cost = float(filler_cost)
        self.entry_penalty = float(entry_penalty)
        resampled = [
            _resample(as_positions(template, f"template of {label!r}"), template_length)[1:-1]
            for label, template in zip(labels, templates, strict=True)
        ]
        counts = {len(template[0]) for template in resampled}
        if len(counts) > 1:
            raise ValueError(f"all templates need the same points, got {sorted(counts)} points")
        self._templates = np.concatenate(resampled)  # [labels * frames, J, 3]

    def read(self, points: Array) -> list[str]:
        """The signs of a clip ``[T, J, 3]`` (metres, wrist-aligned) in order, without filler.

        Equal costs go to filler, then to the label named first. Raises ``ValueError`` for
        another shape, another J than the templates', no frames, NaN or infinite values.
        """
        cost = pairwise_cost(points, self._templates)
        cost = cost.reshape(len(cost), len(self.labels), -1).astype(np.float64)
        found = _best_path(cost, self.filler_cost, self.entry_penalty)
        return [self.labels[index] for index in found]


def error_rate(read: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> float:
    """Edit distance (substitutions, insertions, deletions) over the number of true signs.

    Both are summed over the corpus before the division, as in a word error rate; the value may
    exceed 1. Each entry is a list of labels or a string of one-character labels. Raises
    ``ValueError`` if the numbers of clips differ or the truth holds no sign.
    """
    if len(read) != len(truth):
        raise ValueError(f"expected one reading a clip, got {len(read)} for {len(truth)} clips")
    signs = sum(len(sequence) for sequence in truth)
    if not signs:
        raise ValueError("an error rate needs at least one true sign")
    pairs = zip(read, truth, strict=True)
    return sum(Levenshtein.distance(list(a), list(b)) for a, b in pairs) / signs


def error_rate_of(
    signs: Collection[str], read: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]
) -> float:
    """Share of the true signs among ``signs`` that were missed or read as another sign.

    Of all shortest ways to turn the truth into what was read one is taken. Raises ``ValueError``
    where none of the signs occurs.
    """
    count = wrong = 0
    for found, true in zip(read, truth, strict=True):
        count += sum(sign in signs for sign in true)
        for edit in Levenshtein.editops(list(true), list(found)):
            wrong += edit.tag in ("replace", "delete") and true[edit.src_pos] in signs
    if not count:
        raise ValueError(f"none of the signs {sorted(signs)} is in the truth")
    return wrong / count


def _resample(frames: np.ndarray, length: int) -> np.ndarray:
    """``[n, J, 3]`` to ``[length, J, 3]`` by linear interpolation, both ends kept."""
    position = np.linspace(0, len(frames) - 1, length)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, len(frames) - 1)
    weight = (position - before)[:, None, None]
    return (1 - weight) * frames[before] + weight * frames[after]


_ENTERED = -1


@njit(cache=True)
def _best_path(cost: np.ndarray, filler_cost: float, entry_penalty: float) -> np.ndarray:
    """Viterbi search over ``cost`` ``[T, L, N]`` of frames, signs and template frames.

    At every frame boundary there is a gate: the cheapest way to be outside all signs, having come
    from filler or from the end of a sign. Filler and all signs continue from the gate, so one
    origin a boundary is enough to trace the path back. Returns the indices of the signs in order.
    """
    frames, signs, length = cost.shape
    score = np.full((signs, length), np.inf)
    moved = np.empty((frames, signs, length), np.int8)  # template frames moved on, or _ENTERED
    origin = np.full(frames + 1, -1)  # sign that ends at this boundary, -1 for filler
    gate = 0.0
    for t in range(frames):
        filler = gate + filler_cost
        for sign in range(signs):
            for n in range(length - 1, -1, -1):  # downwards: n - 1 and n - 2 are still old
                best = score[sign, n]
                move = 0
                for step in range(1, min(n, 2) + 1):
                    if score[sign, n - step] < best:
                        best = score[sign, n - step]
                        move = step
                if n == 0 and gate + entry_penalty < best:
                    best = gate + entry_penalty
                    move = _ENTERED
                score[sign, n] = best + cost[t, sign, n]
                moved[t, sign, n] = move
        gate = filler
        for sign in range(signs):
            if score[sign, length - 1] < gate:
                gate, origin[t + 1] = score[sign, length - 1], sign
    found = np.empty(frames, np.int64)
    count = 0
    t = frames
    while t > 0:
        sign = origin[t]
        t -= 1
        if sign < 0:
            continue
        n = length - 1
        while moved[t, sign, n] != _ENTERED:
            n -= moved[t, sign, n]
            t -= 1
        found[count] = sign
        count += 1
    return found[:count][::-1]
