"""Rotations of joints over time: other notations to axis-angle, and other frame rates."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

_TINY = 1e-6


def matrices_to_axis_angle(matrices: np.ndarray) -> np.ndarray:
    """Rotation matrices ``[..., 3, 3]`` to axis-angle ``[..., 3]`` (radians).

    Whatever is not a rotation, such as a matrix of zeros, becomes the identity.
    """
    flat = matrices.reshape(-1, 3, 3).astype(np.float64)
    proper = np.isfinite(flat).all(axis=(1, 2))
    proper[proper] = np.linalg.det(flat[proper]) > _TINY
    flat = np.where(proper[:, None, None], flat, np.eye(3))
    return Rotation.from_matrix(flat).as_rotvec().reshape(*matrices.shape[:-2], 3)


def six_to_axis_angle(six: np.ndarray) -> np.ndarray:
    """The first two rows of rotation matrices ``[..., 6]`` to axis-angle ``[..., 3]``.

    They are orthonormalised by Gram-Schmidt (Zhou et al., CVPR 2019); a degenerate pair, such as
    zeros, is the identity.
    """
    rows = six.reshape(*six.shape[:-1], 2, 3).astype(np.float64)
    first = _unit(rows[..., 0, :])
    along = (first * rows[..., 1, :]).sum(-1, keepdims=True)
    second = _unit(rows[..., 1, :] - along * first)
    return matrices_to_axis_angle(np.stack([first, second, np.cross(first, second)], axis=-2))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > _TINY, vectors / np.maximum(length, _TINY), 0.0)


def mirror_six(six: np.ndarray) -> np.ndarray:
    """Joints of a hand ``[..., 6 J]``, two rows each, as those of the other hand.

    Tools that know right hands alone describe a left one as its mirror image: its rotations
    conjugated by diag(1, -1, -1).
    """
    signs = np.array([1, -1, -1, -1, 1, 1], six.dtype)
    return six * np.tile(signs, six.shape[-1] // 6)


def resample(values: np.ndarray, rotations: slice, fps: float, target: float) -> np.ndarray:
    """Frames ``[T, F]`` at ``fps`` as frames at ``target`` a second, over the same duration.

    The columns ``rotations`` are axis-angle triples: they turn about one axis from frame to frame
    (slerp); the others are interpolated linearly. Frames at the same time stay as they are.
    """
    count = max(1, round(len(values) * target / fps))
    places = np.minimum(np.arange(count) * (fps / target), len(values) - 1)
    before = np.floor(places + _TINY).astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    weight = np.clip(places - before, 0, 1)[:, None]
    weight[weight < _TINY] = 0
    mixed = (1 - weight) * values[before] + weight * values[after]
    turning = weight[:, 0] > 0
    if turning.any():
        start = values[before[turning], rotations].reshape(-1, 3)
        end = values[after[turning], rotations].reshape(-1, 3)
        share = np.repeat(weight[turning], start.shape[0] // int(turning.sum()))[:, None]
        turned = _slerp(start, end, share)
        mixed[turning, rotations] = turned.reshape(int(turning.sum()), -1)
    return mixed.astype(values.dtype)


def _slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Axis-angle ``[N, 3]`` between ``start`` and ``end``, in the branch that is nearest to them.

    A rotation has many axis-angle vectors, a full turn apart; a jump between two of them in time
    would look like a movement to a network.
    """
    first = Rotation.from_rotvec(start)
    step = (first.inv() * Rotation.from_rotvec(end)).as_rotvec()
    turned = (first * Rotation.from_rotvec(step * share)).as_rotvec()
    straight = (1 - share) * start + share * end
    angle = np.linalg.norm(turned, axis=1, keepdims=True)
    axis = turned / np.maximum(angle, 1e-12)
    turns = np.round(((straight - turned) * axis).sum(1, keepdims=True) / (2 * np.pi))
    return turned + 2 * np.pi * turns * axis
