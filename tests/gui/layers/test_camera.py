import numpy as np
from napari.components import ViewerModel

from napari_surfseg.gui.layers.camera import camera_of, compute_view_center


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
