"""Rotations as arrays: matrices ``[..., 3, 3]`` while poses are solved, quaternions ``[..., 4]``
(x, y, z, w) while they move. Angles are radians unless a name says degrees.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

TINY = 1e-9


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[..., 3]`` at length 1 (a zero vector stays zero)."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), TINY)


def rotate(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices ``[..., 3, 3]`` applied to vectors ``[..., 3]``."""
    return (matrices @ vectors[..., None])[..., 0]


def inverse(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


def to_axis_angle(matrices: np.ndarray) -> np.ndarray:
    """Matrices ``[..., 3, 3]`` to axis-angle ``[..., 3]``."""
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec()
    return flat.reshape(matrices.shape[:-1])


def from_axis_angle(vectors: np.ndarray) -> np.ndarray:
    """Axis-angle ``[..., 3]`` to matrices ``[..., 3, 3]``."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return flat.reshape(*vectors.shape, 3)


def to_quaternions(matrices: np.ndarray) -> np.ndarray:
    """Matrices ``[..., 3, 3]`` to quaternions ``[..., 4]``."""
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat()
    return flat.reshape(*matrices.shape[:-2], 4)


def from_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions ``[..., 4]`` to matrices ``[..., 3, 3]``."""
    flat = Rotation.from_quat(quaternions.reshape(-1, 4)).as_matrix()
    return flat.reshape(*quaternions.shape[:-1], 3, 3)


def shortest_arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotation ``[..., 3, 3]`` from direction ``start`` to ``end`` (broadcast)."""
    start, end = np.broadcast_arrays(unit(start), unit(end))
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=-1)
    angle = np.arctan2(sine, (start * end).sum(-1))
    # Opposite directions have no axis of their own: any that is square to them will do.
    helper = np.where(np.abs(start[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    axis = np.where(sine[..., None] > TINY, axis, np.cross(start, helper))
    return from_axis_angle(unit(axis) * angle[..., None])


def basis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Right-handed frames ``[..., 3, 3]``: column 0 along ``first``, 1 close to ``second``."""
    x = unit(first)
    z = unit(np.cross(x, second))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """Project matrices ``[..., 3, 3]`` onto the rotations (SVD, reflections excluded)."""
    left, _, right = np.linalg.svd(matrices)
    left[..., 2] *= np.sign(np.linalg.det(left @ right))[..., None]
    return left @ right


def fit_rotation(rest: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The rotations ``[T, 3, 3]`` that take vectors ``rest`` [P, 3] best to ``observed`` [T, P, 3].

    Kabsch, Acta Crystallographica A32 (1976).
    """
    return nearest_rotation(np.swapaxes(observed, -1, -2) @ rest)


def limit_angle(matrices: np.ndarray, largest_degrees: np.ndarray) -> np.ndarray:
    """Shorten rotations ``[T, K, 3, 3]`` to at most ``largest_degrees`` [K] about the same axis."""
    vectors = to_axis_angle(matrices)
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    factor = np.minimum(1, np.radians(largest_degrees)[:, None] / np.maximum(angle, TINY))
    return from_axis_angle(vectors * factor)


def weighted_mean(matrices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Chordal means: rotations ``[T, K, 3, 3]`` averaged over time by ``weights`` [T, T]."""
    flat = matrices.reshape(len(matrices), -1)
    return nearest_rotation((weights @ flat).reshape(matrices.shape))


def align_signs(quaternions: np.ndarray, anchor: int = 0) -> np.ndarray:
    """Choose between q and -q so that tracks ``[T, K, 4]`` are continuous.

    Frame ``anchor`` gets the representation below 180 degrees; its neighbours follow.
    """
    steps = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True)
    signs = np.cumprod(np.where(steps < 0, -1.0, 1.0), axis=0)
    signs = np.concatenate([np.ones_like(quaternions[:1, :, :1]), signs])
    signs *= signs[anchor] * np.where(quaternions[anchor, :, 3:] < 0, -1.0, 1.0)
    return quaternions * signs


def quaternions_to_axis_angle(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions ``[..., 4]`` to axis-angle ``[..., 3]`` of 0 to 360 degrees.

    The sign counts: with `align_signs` this is the branch nearest to the previous frame.
    """
    sine = np.linalg.norm(quaternions[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternions[..., 3:])
    # For tiny angles the ratio angle / sine is 2 (or -2 beside a full turn, which stays tiny here).
    return quaternions[..., :3] * np.where(sine > TINY, angle / np.maximum(sine, TINY), 2.0)


def angle_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How far `slerp` turns from ``start`` to ``end`` ``[..., 4]``: 0 to 360 degrees ``[...]``."""
    cosine = (start * end).sum(-1)
    return np.degrees(2 * np.arccos(np.clip(cosine, -1, 1)))


def slerp(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Spherical interpolation from ``start`` to ``end`` ``[..., 4]`` (broadcast).

    Signs are taken as they are. Between two rotations below 180 degrees (w > 0) all stays below
    180 degrees, as in a joint: a finger goes from one bend to another by way of straight, even
    where the shorter turn would lead it through the back of the hand.
    """
    angle = np.arccos(np.clip((start * end).sum(-1, keepdims=True), -1, 1))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1, sine)
    first = np.where(near, 1 - weight, np.sin((1 - weight) * angle) / safe)
    second = np.where(near, weight, np.sin(weight * angle) / safe)
    return first * start + second * end
