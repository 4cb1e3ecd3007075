"""Strokes painted with a mouse on napari's canvas, for the pictures of the documentation."""

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.window.screen import live

#: Voxels between two strokes' places, at least, and between them and the edge of the slice.
APART = 26
MARGIN = 22


def find_surface_lines(surface, number, *, half_length=12):
    """Find short lines (Y, X voxels) along the surface of a slice, far from each other."""
    ridge = skeletonize(surface)
    y, x = np.indices(ridge.shape)
    lines = []
    for begin in _choose_places(ridge, number):
        near = ridge & (np.hypot(y - begin[0], x - begin[1]) < half_length)
        parts, _count = ndimage.label(near, np.ones((3, 3)))
        points = np.argwhere(parts == parts[tuple(begin)]).astype(float)
        direction = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][0]
        lines.append(points[np.argsort(points @ direction)])
    return lines


def find_background_lines(surface, background, number, *, half_length=6):
    """Find short straight lines (Y, X voxels) beside the surface, where it is known."""
    beside = ndimage.distance_transform_edt(~surface) > 5
    fits = ndimage.binary_erosion(beside & background, np.ones((3, 2 * half_length + 1)))
    steps = np.arange(-half_length, half_length + 1)
    return [
        np.stack([np.full(len(steps), y), x + steps], axis=1).astype(float)
        for y, x in _choose_places(fits, number)
    ]


def _choose_places(mask, number):
    places = []
    inside = np.argwhere(mask[MARGIN:-MARGIN, MARGIN:-MARGIN]) + MARGIN
    for place in np.random.default_rng(5).permutation(inside):
        if all(np.hypot(*(place - other)) > APART for other in places):
            places.append(place)
        if len(places) == number:
            break
    return places


def drag(viewer, layer, points):
    """Drag the left button of the mouse over points (Y, X voxels of a layer) of the slice shown."""
    canvas = viewer.window._qt_viewer.canvas.native  # noqa: SLF001 - napari has no other way
    camera = camera_of(viewer)
    world = np.asarray(points) * layer.scale[-2:] + layer.translate[-2:]
    shift = (world - np.asarray(camera.center)[-2:]) * camera.zoom
    places = [QPointF(canvas.width() / 2 + x, canvas.height() / 2 + y) for y, x in shift]
    none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
    _send(canvas, QEvent.Type.MouseMove, places[0], none, none)
    _send(canvas, QEvent.Type.MouseButtonPress, places[0], left, left)
    for place in places[1:]:
        _send(canvas, QEvent.Type.MouseMove, place, none, left)
    _send(canvas, QEvent.Type.MouseButtonRelease, places[-1], left, none)


def _send(canvas, kind, place, button, buttons):
    whole = QPointF(canvas.mapToGlobal(place.toPoint()))
    modifiers = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(kind, place, whole, button, buttons, modifiers)
    QApplication.sendEvent(canvas, event)
    live(0.02)  # moves that come at once are taken for one
