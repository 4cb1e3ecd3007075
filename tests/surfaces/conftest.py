"""A ball, and what the tests of meshes measure."""

import numpy as np

CENTRE = np.array([20.0, 19.0, 18.0])


def radius(shape=(40, 38, 36), spacing=(1, 1, 1)):
    z, y, x = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    return np.sqrt(
        (z[:, None, None] - CENTRE[0]) ** 2 + (y[:, None] - CENTRE[1]) ** 2 + (x - CENTRE[2]) ** 2
    )


def ball(size=12.0):
    return np.clip(0.5 + (size - radius()) / 4, 0, 1).astype(np.float32)


def volume_of(mesh):
    """Enclosed volume: positive where faces are counter-clockwise from outside, in XYZ."""
    corners = mesh.vertices[:, ::-1].astype(float)[mesh.faces]
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def area_of(mesh):
    corners = mesh.vertices.astype(float)[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(across, axis=1).sum() / 2)


def edge_uses(mesh):
    sides = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return np.unique(sides, axis=0, return_counts=True)


def euler(mesh):
    return len(mesh.vertices) - len(edge_uses(mesh)[0]) + len(mesh.faces)


def assert_turned_alike(mesh):
    """Every edge of two triangles is run along once each way."""
    sides = mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    _, counts = np.unique(sides, axis=0, return_counts=True)
    assert counts.max() == 1
