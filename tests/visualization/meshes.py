"""Meshes whose picture can be worked out on paper."""

import numpy as np

from soke.visualization import Lighting

#: Shows every colour as it is.
FLAT = Lighting(key=0, fill=0, sky=1, floor=1, edge=0, ground=(255, 255, 255))


def sphere(radius=1.0, centre=(0.0, 0.0, 0.0), rings=40, sectors=60):
    """Vertices [V, 3] and faces [F, 3] of a sphere, outward, top to bottom."""
    polar = np.linspace(0, np.pi, rings + 1)
    around = np.linspace(0, 2 * np.pi, sectors, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing="ij")
    points = np.stack([np.sin(p) * np.sin(a), np.cos(p), np.sin(p) * np.cos(a)], -1)
    i, j = np.meshgrid(np.arange(rings), np.arange(sectors), indexing="ij")
    a = i * sectors + j
    b = i * sectors + (j + 1) % sectors
    c = a + sectors
    d = b + sectors
    faces = np.concatenate([np.stack([a, c, d], -1), np.stack([a, d, b], -1)]).reshape(-1, 3)
    return np.array(centre) + radius * points.reshape(-1, 3), faces


def square(half, z, x=0.0, y=0.0):
    """A square that faces +z."""
    corners = [[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]]
    return np.array(corners) + np.array([x, y, z]), np.array([[0, 1, 2], [0, 2, 3]])


def join(*meshes):
    vertices = []
    faces = []
    start = 0
    for v, f in meshes:
        vertices.append(v)
        faces.append(f + start)
        start += len(v)
    return np.concatenate(vertices), np.concatenate(faces)


def paint(vertices, color):
    return np.tile(np.array(color, np.float32), (len(vertices), 1))
