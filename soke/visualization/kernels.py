"""The compiled loops of the rasteriser. Each handles a band of rows and releases the GIL."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

Array = np.ndarray

SHADOW_TAPS = 3  # the shadow is averaged over 2 * taps texels per side, for a soft edge
SAME_DEPTH = 0.0005  # relative difference of depth within which samples share their shading
#: A normal is flipped if its cosine to the viewer is below this: the back of an open mesh is
#: visible. Smooth normals turn away slightly at the outline of a round body and must not flip.
BACK = -0.3

#: Reordered sums are a fifth faster; infinity keeps its meaning.
OUTER = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "arcp", "nsz", "reassoc"},
}
INNER = {**OUTER, "forceinline": True}


class Light(NamedTuple):
    """Light and fading for `shade`; linear colours, metres."""

    key: np.ndarray  # [4]: direction and intensity
    fill: np.ndarray  # [4]
    around: np.ndarray  # [3]: from the sky, from the floor, darkening of edges
    ground: np.ndarray  # [3]
    viewer: np.ndarray  # [3]: direction
    fade_from: np.float32  # depth at which surfaces start to fade into the background
    fade_over: np.float32
    softness: np.float32  # metres over which the shade of a blocker becomes full


class Corners(NamedTuple):
    """The vertices of a face and their weights at a sample."""

    a: int
    b: int
    c: int
    wa: float
    wb: float
    wc: float


@njit(cache=True, nogil=True)
def vertex_normals(vertices: Array, faces: Array, normals: Array) -> None:
    """Unit normals [V, 3]: the sum of the normals of a vertex's faces, weighted by their areas."""
    normals[:] = 0
    for f in range(len(faces)):
        a = faces[f, 0]
        b = faces[f, 1]
        c = faces[f, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        nx = uy * vz - uz * vy
        ny = uz * vx - ux * vz
        nz = ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(len(normals)):
        x = normals[v, 0]
        y = normals[v, 1]
        z = normals[v, 2]
        length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-20))
        normals[v, 0], normals[v, 1], normals[v, 2] = x / length, y / length, z / length


@njit(**OUTER)
def draw(points: Array, faces: Array, nearness: Array, seen: Array, top: int, bottom: int) -> None:
    """Find the nearest face of each sample in the rows from ``top`` to ``bottom``.

    ``points`` [V, 3] are x, y and a nearness that grows towards the viewer and is linear in x and
    y. ``nearness`` and ``seen`` [height, width] receive the nearness and the face; an empty
    ``seen`` is left alone. A sample on the edge between two faces is covered, so there are no
    holes. Both sides of a face are drawn.
    """
    width = nearness.shape[1]
    remember = seen.size > 0
    for f in range(len(faces)):
        a = faces[f, 0]
        b = faces[f, 1]
        c = faces[f, 2]
        ax = points[a, 0]
        ay = points[a, 1]
        bx = points[b, 0]
        by = points[b, 1]
        cx = points[c, 0]
        cy = points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not abs(area) > 1e-12:  # also NaN: a corner behind the camera
            continue
        first_row = max(top, int(np.ceil(min(ay, by, cy) - 0.5)))
        last_row = min(bottom - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        first = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        last = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        # Barycentric weights u (of b) and v (of c) are linear in x and y.
        u_x = (cy - ay) / area
        u_y = -(cx - ax) / area
        v_x = -(by - ay) / area
        v_y = (bx - ax) / area
        near = points[a, 2]
        near_u = points[b, 2] - near
        near_v = points[c, 2] - near
        for row in range(first_row, last_row + 1):
            dx = first + 0.5 - ax
            dy = row + 0.5 - ay
            u = dx * u_x + dy * u_y
            v = dx * v_x + dy * v_y
            for column in range(first, last + 1):
                if u >= -1e-9 and v >= -1e-9 and u + v <= 1 + 1e-9:
                    value = np.float32(near + u * near_u + v * near_v)
                    if value > nearness[row, column]:
                        nearness[row, column] = value
                        if remember:
                            seen[row, column] = f
                u += u_x
                v += v_x


@njit(**INNER)
def _lit_share(shadow: Array, x: float, y: float, z: float, softness: float) -> float:
    """Share of the key light, 0 to 1, that reaches a point in shadow-map coordinates."""
    side = len(shadow)
    column = int(np.floor(x))
    row = int(np.floor(y))
    if not (SHADOW_TAPS <= column < side - SHADOW_TAPS - 1):
        return np.float32(1)
    if not (SHADOW_TAPS <= row < side - SHADOW_TAPS - 1):
        return np.float32(1)
    # The window moves with the point: its outermost texels are weighted by their overlap.
    fx = np.float32(x - column)
    fy = np.float32(y - row)
    total = np.float32(0)
    for i in range(-SHADOW_TAPS, SHADOW_TAPS + 1):
        weight = np.float32(1)
        if i == -SHADOW_TAPS:
            weight = 1 - fy
        elif i == SHADOW_TAPS:
            weight = fy
        line = np.float32(0)
        for j in range(-SHADOW_TAPS, SHADOW_TAPS + 1):
            # A blocker barely in front of the point shades it only a little.
            blocked = (shadow[row + i, column + j] - z) / softness
            blocked = min(max(blocked, np.float32(0)), np.float32(1))
            if j == -SHADOW_TAPS:
                blocked *= 1 - fx
            elif j == SHADOW_TAPS:
                blocked *= fx
            line += blocked
        total += line * weight
    return 1 - total / np.float32(4 * SHADOW_TAPS * SHADOW_TAPS)


@njit(**OUTER)
def shade(
    points: Array,
    data: Array,
    faces: Array,
    nearness: Array,
    seen: Array,
    shadow: Array,
    light: Light,
    gamma: Array,
    frame: Array,
    top: int,
    bottom: int,
) -> None:
    """Colour the rows from ``top`` to ``bottom`` of ``frame`` [height, width, C], uint8.

    ``data`` [V, 9] holds the normal, linear colour and shadow-map position of each vertex. With
    C = 3 uncovered samples show the background; with C = 4 the last channel is the coverage.
    """
    scale = len(seen) // len(frame)
    share = np.float32(1 / (scale * scale))
    zero = np.float32(0)
    one = np.float32(1)
    half = np.float32(0.5)
    steps = np.float32(len(gamma) - 1)
    clear = frame.shape[2] == 4
    for y in range(top, bottom):
        for x in range(frame.shape[1]):
            red = green = blue = covered = zero
            r = g = b = kept = zero
            shaded_at = zero
            for row in range(y * scale, y * scale + scale):
                for column in range(x * scale, x * scale + scale):
                    f = seen[row, column]
                    if f < 0:
                        continue
                    near = nearness[row, column]
                    # Shading is smooth: it is computed again only at an outline or a steep slope
                    # within a pixel. This saves a third of a frame's time.
                    if abs(near - shaded_at) > SAME_DEPTH * near:
                        shaded_at = near
                        corners = _corners(points, faces, f, column + 0.5, row + 0.5)
                        r, g, b, kept = _light_sample(data, corners, shadow, one / near, light)
                    red += r
                    green += g
                    blue += b
                    covered += kept
            mixed = share
            ground = one - covered * share
            if clear:
                mixed = one / max(covered, np.float32(1e-6))
                ground = zero
                frame[y, x, 3] = int(covered * share * np.float32(255) + half)
            levels = red * mixed, green * mixed, blue * mixed
            for k in range(3):
                level = min(max(levels[k] + light.ground[k] * ground, zero), one)
                frame[y, x, k] = gamma[int(level * steps + half)]


@njit(**INNER)
def _corners(points: Array, faces: Array, f: int, x: float, y: float) -> Corners:
    """The corners of a face and their perspective-correct weights at a sample."""
    a = faces[f, 0]
    b = faces[f, 1]
    c = faces[f, 2]
    ax = points[a, 0]
    ay = points[a, 1]
    bx = points[b, 0] - ax
    by = points[b, 1] - ay
    cx = points[c, 0] - ax
    cy = points[c, 1] - ay
    area = bx * cy - by * cx
    u = ((x - ax) * cy - (y - ay) * cx) / area
    v = ((y - ay) * bx - (x - ax) * by) / area
    wa = (1 - u - v) * points[a, 2]
    wb = u * points[b, 2]
    wc = v * points[c, 2]
    whole = 1 / (wa + wb + wc)
    return Corners(a, b, c, np.float32(wa * whole), np.float32(wb * whole), np.float32(wc * whole))


@njit(**INNER)
def _at(data: Array, at: Corners, k: int) -> float:
    """Column ``k`` of the vertex data, interpolated between the corners of a face."""
    return at.wa * data[at.a, k] + at.wb * data[at.b, k] + at.wc * data[at.c, k]


@njit(**INNER)
def _light_sample(
    data: Array, at: Corners, shadow: Array, depth: float, light: Light
) -> tuple[float, float, float, float]:
    """The light from one sample to the viewer: red, green, blue, and its coverage.

    The coverage is the share that does not fade into the background; the colours include it.
    """
    zero = np.float32(0)
    one = np.float32(1)
    x = _at(data, at, 0)
    y = _at(data, at, 1)
    z = _at(data, at, 2)
    length = one / max(np.sqrt(x * x + y * y + z * z), np.float32(1e-9))
    x = x * length
    y = y * length
    z = z * length
    facing = x * light.viewer[0] + y * light.viewer[1] + z * light.viewer[2]
    if facing < BACK:
        x = -x
        y = -y
        z = -z
        facing = -facing
    key = max(x * light.key[0] + y * light.key[1] + z * light.key[2], zero) * light.key[3]
    if key > zero:
        place = _at(data, at, 6), _at(data, at, 7), _at(data, at, 8)
        key *= _lit_share(shadow, place[0], place[1], place[2], light.softness)
    fill = max(x * light.fill[0] + y * light.fill[1] + z * light.fill[2], zero) * light.fill[3]
    sky = np.float32(0.5) + np.float32(0.5) * y
    around = light.around[1] + (light.around[0] - light.around[1]) * sky
    turned = one - min(max(facing, zero), one)
    level = (key + fill + around) * (one - light.around[2] * turned * turned)
    kept = one - min(max((depth - light.fade_from) / light.fade_over, zero), one)
    return (
        min(level * _at(data, at, 3), one) * kept,
        min(level * _at(data, at, 4), one) * kept,
        min(level * _at(data, at, 5), one) * kept,
        kept,
    )
