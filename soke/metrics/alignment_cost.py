"""Distance of every generated frame to every reference frame after the best similarity transform.

The best rotation of one point set onto another is the unit quaternion that belongs to the largest
eigenvalue of a symmetric 4x4 matrix K built from their 3x3 correlation (Horn, "Closed-form
solution of absolute orientation using unit quaternions", JOSA A 4(4), 1987). That eigenvalue is
the largest root of K's quartic characteristic polynomial, which Newton's method reaches from above
in a few steps (Theobald, "Rapid calculation of RMSDs using a quaternion-based characteristic
polynomial", Acta Cryst. A61, 2005), and the eigenvector is any column of the adjugate of
K - lambda I. A quaternion is always a proper rotation, so reflections are excluded by construction.

No quaternion is formed on the fast path: the adjugate is a multiple of q q^T, and a rotation
matrix is made of the products q_a q_b only. Every step runs over all reference frames of a row, so
that the compiler vectorises it. Where the two largest eigenvalues nearly coincide (collinear or
mirrored points) the division is ill-conditioned and Jacobi rotations diagonalise K instead.

All kernels that call one another stay in this file: numba's cache notices a changed file only for
the outermost function. Symmetric 4x4 matrices are tuples of the upper triangle, row by row.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Freedom for the compiler to vectorise sums; infinities and NaN keep their meaning.
_FASTMATH = {"nsz", "arcp", "contract", "reassoc"}

#: Newton stops after a relative step this small; the error left is about its square.
_NEWTON_STEP = 1e-9
_NEWTON_LIMIT = 40

#: Below this value of prod(lambda - lambda_i) / lambda^3 the adjugate is not trusted. The error of
#: the rotation grows as 4 eps / value^2, here about 1e-11.
_WELL_CONDITIONED = 1e-2


@njit(cache=True, nogil=True)
def similarity_cost(
    generated: np.ndarray,
    reference: np.ndarray,
    size: np.ndarray,
    points: np.ndarray,
    columns: np.ndarray,
    cost: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Mean distance over ``points`` after alignment over all points, for pairs of frames.

    ``generated`` ``[3, J, T]`` and ``reference`` ``[3, J, U]`` are unit frames with time last,
    ``size`` ``[U]`` the sizes of the reference frames, ``points`` indices into J, ``columns``
    ``[T, 2]`` the first and the end of the reference frames that a generated frame is compared
    with. Sets these of rows ``begin`` to ``end`` of ``cost`` ``[T, U]``, in the unit of ``size``.
    """
    for i in range(begin, end):
        _cost_row(generated, i, reference, size, points, columns[i], cost[i])


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _cost_row(
    generated: np.ndarray,
    i: int,
    reference: np.ndarray,
    size: np.ndarray,
    points: np.ndarray,
    columns: np.ndarray,
    row: np.ndarray,
) -> None:
    """Row ``i`` of `similarity_cost`."""
    first = columns[0]
    last = columns[1]
    others = last - first
    wanted = points.shape[0]
    if others < reference.shape[2]:  # loops over contiguous arrays from 0 on are vectorised
        reference = reference[:, :, first:last].copy()
    s = np.zeros((9, others))  # s[3a + b] = sum of x_a y_b, to turn x onto y
    for n in range(generated.shape[1]):
        for a in range(3):
            x = generated[a, n, i]
            for j in range(others):
                s[3 * a, j] += x * reference[0, n, j]
                s[3 * a + 1, j] += x * reference[1, n, j]
                s[3 * a + 2, j] += x * reference[2, n, j]
    r = _best_rotations(s)
    total = np.zeros(others)
    for k in range(wanted):
        n = points[k]
        x = generated[0, n, i]
        y = generated[1, n, i]
        z = generated[2, n, i]
        for j in range(others):
            u = r[0, j] * x + r[1, j] * y + r[2, j] * z - reference[0, n, j]
            v = r[3, j] * x + r[4, j] * y + r[5, j] * z - reference[1, n, j]
            w = r[6, j] * x + r[7, j] * y + r[8, j] * z - reference[2, n, j]
            total[j] += math.sqrt(u * u + v * v + w * w)
    size = size[first:last]
    row = row[first:last]
    for j in range(others):
        row[j] = size[j] * total[j] / wanted


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _best_rotations(s: np.ndarray) -> np.ndarray:
    """For correlations ``s`` ``[9, U]``: best scale times best rotation, row by row ``[9, U]``.

    For unit frames the best scale is lambda itself (Horn, section 2.E, the asymmetric case).
    """
    count = s.shape[1]
    c2 = np.empty(count)
    c1 = np.empty(count)
    c0 = np.empty(count)
    roots = np.empty(count)
    for j in range(count):
        xx = s[0, j]
        xy = s[1, j]
        xz = s[2, j]
        yx = s[3, j]
        yy = s[4, j]
        yz = s[5, j]
        zx = s[6, j]
        zy = s[7, j]
        zz = s[8, j]
        squares = xx * xx + xy * xy + xz * xz + yx * yx + yy * yy + yz * yz
        squares += zx * zx + zy * zy + zz * zz
        det = xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx)
        k = _horn_matrix(s, j)
        p = _adjugate(k)
        c2[j] = -2.0 * squares
        c1[j] = -8.0 * det
        c0[j] = k[0] * p[0] + k[1] * p[1] + k[2] * p[2] + k[3] * p[3]  # det K
        # Cauchy-Schwarz bounds lambda by 1; K is traceless with |K|^2 = 4 |S|^2: by sqrt(3) |S|.
        bound = math.sqrt(3.0 * squares)
        roots[j] = bound if bound < 1.0 else 1.0
    converged = _largest_roots(c2, c1, c0, roots)
    rotations = np.empty_like(s)
    trusted = np.empty(count, np.bool_)
    for j in range(count):
        x = roots[j]
        a00, a01, a02, a03, a11, a12, a13, a22, a23, a33 = _horn_matrix(s, j)
        p = _adjugate((a00 - x, a01, a02, a03, a11 - x, a12, a13, a22 - x, a23, a33 - x))
        trace = p[0] + p[4] + p[7] + p[9]  # -prod(lambda - lambda_i)
        trusted[j] = converged[j] & (-trace > _WELL_CONDITIONED * x * x * x)
        _write_rotation(rotations, j, p, x / trace)
    for j in range(count):
        if not trusted[j]:
            root, p = _jacobi(_horn_matrix(s, j))
            _write_rotation(rotations, j, p, root)
    return rotations


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _largest_roots(c2: np.ndarray, c1: np.ndarray, c0: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Newton's method for many quartics x^4 + c2 x^2 + c1 x + c0 (all roots real) at once.

    ``roots`` ``[U]`` holds starting points at or above the largest roots and is overwritten.
    Returns which of them converged: multiple roots do so slowly, roots of 0 not at all.
    """
    converged = np.zeros(roots.shape[0], np.bool_)
    for _ in range(_NEWTON_LIMIT):
        unfinished = 0
        for j in range(roots.shape[0]):
            x = roots[j]
            square = x * x
            value = ((square + c2[j]) * x + c1[j]) * x + c0[j]
            step = value / ((4.0 * square + 2.0 * c2[j]) * x + c1[j])
            roots[j] = x - step
            converged[j] = abs(step) < _NEWTON_STEP * x
            unfinished += not converged[j]
        if unfinished == 0:
            break
    return converged


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _horn_matrix(s: np.ndarray, j: int) -> tuple:
    """Horn's K of the correlation ``s[:, j]``."""
    xx = s[0, j]
    xy = s[1, j]
    xz = s[2, j]
    yx = s[3, j]
    yy = s[4, j]
    yz = s[5, j]
    zx = s[6, j]
    zy = s[7, j]
    zz = s[8, j]
    return (
        xx + yy + zz,
        yz - zy,
        zx - xz,
        xy - yx,
        xx - yy - zz,
        xy + yx,
        zx + xz,
        yy - xx - zz,
        yz + zy,
        zz - xx - yy,
    )


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _adjugate(upper: tuple) -> tuple:
    """Adjugate of a symmetric 4x4 matrix, from the 2x2 minors of its upper and lower two rows."""
    a00, a01, a02, a03, a11, a12, a13, a22, a23, a33 = upper
    s0 = a00 * a11 - a01 * a01
    s1 = a00 * a12 - a01 * a02
    s2 = a00 * a13 - a01 * a03
    s3 = a01 * a12 - a11 * a02
    s4 = a01 * a13 - a11 * a03
    s5 = a02 * a13 - a12 * a03
    c5 = a22 * a33 - a23 * a23
    c4 = a12 * a33 - a13 * a23
    c3 = a12 * a23 - a13 * a22
    c2 = a02 * a33 - a03 * a23
    c1 = a02 * a23 - a03 * a22
    return (
        a11 * c5 - a12 * c4 + a13 * c3,
        a02 * c4 - a01 * c5 - a03 * c3,
        a13 * s5 - a23 * s4 + a33 * s3,
        a22 * s4 - a12 * s5 - a23 * s3,
        a00 * c5 - a02 * c2 + a03 * c1,
        a23 * s2 - a03 * s5 - a33 * s1,
        a02 * s5 - a22 * s2 + a23 * s1,
        a03 * s4 - a13 * s2 + a33 * s0,
        a12 * s2 - a02 * s4 - a23 * s0,
        a02 * s3 - a12 * s1 + a22 * s0,
    )


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _write_rotation(r: np.ndarray, j: int, p: tuple, factor: float) -> None:
    """Set ``r[:, j]`` to ``factor`` times the rotation of the quaternion products q_a q_b."""
    p00, p01, p02, p03, p11, p12, p13, p22, p23, p33 = p
    r[0, j] = factor * (p00 + p11 - p22 - p33)
    r[1, j] = factor * 2.0 * (p12 - p03)
    r[2, j] = factor * 2.0 * (p13 + p02)
    r[3, j] = factor * 2.0 * (p12 + p03)
    r[4, j] = factor * (p00 - p11 + p22 - p33)
    r[5, j] = factor * 2.0 * (p23 - p01)
    r[6, j] = factor * 2.0 * (p13 - p02)
    r[7, j] = factor * 2.0 * (p23 + p01)
    r[8, j] = factor * (p00 - p11 - p22 + p33)


@njit(cache=True, error_model="numpy")
def _jacobi(upper: tuple) -> tuple:
    """Largest eigenvalue of a symmetric 4x4 matrix, and q q^T of its unit eigenvector q.

    Cyclic Jacobi rotations (Golub and Van Loan, Matrix Computations, section 8.5), exact to
    rounding whatever the spacing of the eigenvalues.
    """
    k = np.zeros((4, 4))
    vectors = np.eye(4)
    k[0, 0], k[0, 1], k[0, 2], k[0, 3], k[1, 1], k[1, 2], k[1, 3], k[2, 2], k[2, 3], k[3, 3] = upper
    k += np.triu(k, 1).T
    negligible = 1e-17 * np.abs(k).max()
    for _ in range(30):
        rotated = False
        for p in range(3):
            for q in range(p + 1, 4):
                if abs(k[p, q]) <= negligible:
                    continue
                rotated = True
                theta = (k[q, q] - k[p, p]) / (2.0 * k[p, q])
                t = math.copysign(1.0, theta) / (abs(theta) + math.hypot(theta, 1.0))
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                for i in range(4):
                    k[i, p], k[i, q] = c * k[i, p] - s * k[i, q], s * k[i, p] + c * k[i, q]
                for i in range(4):
                    k[p, i], k[q, i] = c * k[p, i] - s * k[q, i], s * k[p, i] + c * k[q, i]
                for i in range(4):
                    a = vectors[i, p]
                    b = vectors[i, q]
                    vectors[i, p], vectors[i, q] = c * a - s * b, s * a + c * b
        if not rotated:
            break
    best = 0
    for i in range(4):
        if k[i, i] > k[best, best]:
            best = i
    a = vectors[0, best]
    b = vectors[1, best]
    c = vectors[2, best]
    d = vectors[3, best]
    return k[best, best], (a * a, a * b, a * c, a * d, b * b, b * c, b * d, c * c, c * d, d * d)
