import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.layers.camera import camera_of, compute_view_box, compute_view_center


def test_the_view_center_is_a_voxel_of_the_source():
    viewer = ViewerModel()
    source = viewer.add_image(
        np.zeros((32, 64, 64), np.uint8), scale=(4, 2, 2), translate=(100, 0, -7)
    )
    viewer.dims.set_point(0, 100 + 4 * 9)
    camera = camera_of(viewer)
    camera.center = (0, 2 * 20, 2 * 30 - 7)
    assert compute_view_center(viewer, source) == (9, 20, 30)
    camera.center = (0, -1e6, 1e6)
    assert compute_view_center(viewer, source) == (9, 0, 63)
    viewer.dims.ndisplay = 3
    camera.center = (100 + 4 * 3, 2 * 5, 2 * 6 - 7)
    assert compute_view_center(viewer, source) == (3, 5, 6)


@pytest.fixture
def seen():
    """A viewer that looks at a volume through a canvas of 20 by 30 pixels."""
    viewer = ViewerModel()
    viewer.add_image(
        np.zeros((40, 64, 64), np.uint8), name="scan", scale=(2, 1, 1), translate=(9, 0, 0)
    )
    viewer.canvas.size = (20, 30)
    camera_of(viewer).zoom = 1
    return viewer


def test_the_box_in_view_is_as_large_as_the_canvas(seen):
    camera_of(seen).center = (0, 32, 32)
    seen.dims.set_point(0, 9 + 2 * 20)
    scan = seen.layers["scan"]
    assert compute_view_box(seen, scan, (16, 128, 128)) == ((12, 22, 17), (28, 43, 48))
    camera_of(seen).center = (0, 500, 500)
    assert compute_view_box(seen, scan, (16, 128, 128)) is None


def test_in_3d_it_lies_around_what_the_camera_turns_about(seen):
    seen.dims.ndisplay = 3
    camera_of(seen).zoom = 1
    camera_of(seen).center = (9 + 2 * 20, 32, 60)
    box = compute_view_box(seen, seen.layers["scan"], (8, 8, 8))
    assert box == ((13, 17, 45), (28, 48, 64))
