"""Reconstruction errors of the tokenizer, in millimetres.

MPVPE and MPJPE: mean over vertices or joints of the Euclidean distance after moving the generated
root onto the reference root (pelvis for the whole body, wrist for a hand, neck for the face). With
``PA_`` the generated points are first fitted by the best similarity transform instead. A score is
the mean over frames: every frame counts the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from soke.body import BodyModel
from soke.body.alignment import root_align, similarity_errors
from soke.metrics.aggregate import TOTAL, CorpusMean
from soke.metrics.surface_points import SurfacePoints, score_points
from soke.parts import FEATURE_SIZE
from soke.structures import BodyOutput

MILLIMETRES = 1000.0
#: Frames of either motion that are posed at once: bounds memory, whatever the length of a clip.
_CHUNK = 32


def point_errors(
    generated: Mapping[str, Tensor], reference: Mapping[str, Tensor]
) -> dict[str, float]:
    """``MPJPE_{set}`` of scored points [T, J, 3] whose first point is the root, in mm."""
    frames = len(next(iter(reference.values())))
    return clip_point_errors(generated, reference, [frames])[0]


def clip_point_errors(
    generated: Mapping[str, Tensor], reference: Mapping[str, Tensor], lengths: Sequence[int]
) -> list[dict[str, float]]:
    """`point_errors` of every clip of scored points [N, J, 3] that were posed in one go.

    ``lengths`` are the frames of the clips, which follow one another and make up all N frames.
    Raises ``ValueError`` if they do not.
    """
    errors = []
    for name in generated:
        if len(generated[name]) != sum(lengths):
            raise ValueError(
                f"clips of {sum(lengths)} frames altogether, but {len(generated[name])} frames of "
                f"{name!r}"
            )
        difference = root_align(generated[name], root=0) - root_align(reference[name], root=0)
        errors.append(difference.norm(dim=-1).mean(dim=-1))
    clips = torch.stack(errors).split(list(lengths), dim=1)  # [sets, T] each
    means = torch.stack([clip.mean(dim=1) for clip in clips]) * MILLIMETRES
    names = [f"MPJPE_{name}" for name in generated]
    return [dict(zip(names, row)) for row in means.tolist()]


class MeanPointError(CorpusMean):
    """One score: the mean distance of one or several sets of points, mean over frames, in mm.

    Args:
        name: what the score is called.
        sets: the points that are compared; where there are several, each counts the same.
        corpora: the corpora that the score is kept for.
        aligned: fit the generated points by the best similarity transform of all points of a set
            instead of moving their root.
    """

    def __init__(
        self,
        name: str,
        sets: Sequence[SurfacePoints],
        corpora: Sequence[str],
        aligned: bool = False,
    ) -> None:
        super().__init__(corpora, [name])
        self.name = name
        self.aligned = aligned
        self.sets = nn.ModuleList(sets)

    def update(self, generated: BodyOutput, reference: BodyOutput, corpus: str) -> None:
        """Add posed frames, as many generated ones as reference ones, of a clip of ``corpus``."""
        errors = self.frame_errors(generated, reference)
        super().update(corpus, {self.name: errors.mean()}, weight=len(errors))

    def frame_errors(self, generated: BodyOutput, reference: BodyOutput) -> Tensor:
        """Mean distance of every frame [N], in millimetres, float64."""
        if generated.vertices.shape != reference.vertices.shape:
            raise ValueError(
                "expected as many generated as reference frames of one body, got vertices "
                f"{tuple(generated.vertices.shape)} and {tuple(reference.vertices.shape)}"
            )
        # Matrix products at full precision even where the run uses mixed precision.
        with torch.autocast(reference.vertices.device.type, enabled=False):
            errors = [self._set_errors(points, generated, reference) for points in self.sets]
        return torch.stack(errors).mean(dim=0) * MILLIMETRES

    def _set_errors(
        self, choose: nn.Module, generated: BodyOutput, reference: BodyOutput
    ) -> Tensor:
        (ours, our_root), (theirs, their_root) = choose(generated), choose(reference)
        if self.aligned:
            return similarity_errors(ours, theirs)
        difference = ours - theirs - (our_root - their_root)
        return difference.square().sum(dim=-1).sqrt().mean(dim=-1, dtype=torch.float64)


class ReconstructionMetrics(nn.Module):
    """All reconstruction scores of a body, fed with one pair of motions after the other.

    Every score is a `MeanPointError`, and both bodies are posed once for all of them, a few frames
    at a time. Scores lie on the body's device.

    Args:
        body: poses the motions; the files that `soke.metrics.surface_points.score_points` names lie
            beside it.
        corpora: the corpora that scores are kept for.
    """

    def __init__(self, body: BodyModel, corpora: Sequence[str]) -> None:
        super().__init__()
        self._body = [body]  # in a list, so that it is no submodule
        points = score_points(body)
        scores = [
            MeanPointError(f"{prefix}{name}", sets, corpora, aligned=bool(prefix))
            for prefix in ("", "PA_")
            for name, sets in points.items()
        ]
        self.scores = nn.ModuleDict({score.name: score for score in scores})
        self.to(body.template.device)

    @property
    def names(self) -> list[str]:
        """The scores, first those after root alignment, then those with ``PA_``."""
        return list(self.scores)

    @torch.no_grad()
    def forward(self, generated: Tensor, reference: Tensor, corpus: str) -> dict[str, float]:
        """Add one clip and return its own scores, ``{name: mm}``.

        Both motions are denormalised SMPL-X features [T, 133] on the body's device. Raises
        ``ValueError`` for other shapes, no frames, values that are not finite or an unknown
        corpus; nothing is added then.
        """
        self._check(generated, reference, corpus)
        sums = dict.fromkeys(self.names, 0.0)
        for ours, theirs in zip(generated.split(_CHUNK), reference.split(_CHUNK)):
            posed = self._body[0](torch.cat([ours, theirs]))
            outputs = [
                BodyOutput(vertices, joints)
                for vertices, joints in zip(
                    posed.vertices.split(len(ours)), posed.joints.split(len(ours))
                )
            ]
            for name, score in self.scores.items():
                sums[name] += score(*outputs, corpus)[TOTAL][name] * len(ours)
        return {name: value / len(reference) for name, value in sums.items()}

    def _check(self, generated: Tensor, reference: Tensor, corpus: str) -> None:
        if generated.shape != reference.shape or reference.shape[1:] != (FEATURE_SIZE,):
            raise ValueError(
                f"expected two motions of equal shape [T, {FEATURE_SIZE}], got "
                f"{tuple(generated.shape)} and {tuple(reference.shape)}"
            )
        if not len(reference):
            raise ValueError("expected motions of at least one frame, got none")
        for name, motion in (("generated", generated), ("reference", reference)):
            if not motion.isfinite().all():
                raise ValueError(f"the {name} motion must be finite, found NaN or infinite values")
        self.scores[self.names[0]].index(corpus)

    def compute(self) -> dict[str, dict[str, float]]:
        """``{corpus or "total": {name: mm}}`` over the clips of all ranks; all have to call it."""
        means: dict[str, dict[str, float]] = {}
        for score in self.scores.values():
            for corpus, values in score.compute().items():
                means.setdefault(corpus, {}).update(values)
        return means

    def reset(self) -> None:
        """Forget all clips."""
        for score in self.scores.values():
            score.reset()
