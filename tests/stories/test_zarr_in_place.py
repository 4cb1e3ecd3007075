"""A scroll in OME-Zarr, as napari itself opens it: trained on where it lies, and opened again.

With a real worker and what the screen shows.
"""

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels

from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.contributions.open_in_place import open_in_place
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.inference.output_metadata import VolumeMetadata, ome_zarr_attributes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EDGE = 192


@pytest.fixture
def scroll(tmp_path):
    """Rings with noise, 40 × 10 × 10 nm, in two levels; and the mask of the rings."""
    z, y, x = np.ogrid[:EDGE, :EDGE, :EDGE]
    radius = np.hypot(y - EDGE / 2, x - EDGE / 2) + 4 * np.sin(z / 15)
    sheet = np.abs(radius % 32 - 16) < 2
    noise = np.random.default_rng(0).normal(0, 18, sheet.shape)
    data = (70 + 100 * sheet + noise).clip(0, 255).astype(np.uint8)
    path = tmp_path / "scroll.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    metadata = ome_zarr_attributes(VolumeMetadata((40, 10, 10), "nanometer"), "scroll")
    metadata["multiscales"][0]["datasets"].append({"path": "1", "coordinateTransformations": []})
    group.attrs.update(metadata)
    for level, part in enumerate((data, data[::2, ::2, ::2])):
        array = group.create_array(str(level), shape=part.shape, dtype="u1", chunks=(64,) * 3)
        array[:] = part
    return path, sheet


def is_frame(red, green, blue):
    """The orange of the lines round the live box."""
    return (red > 190) & (np.abs(green - 130) < 60) & (blue < 90)


def test_a_zarr_layer_is_trained_on_where_it_lies(
    viewer, person, screen, wait_for, scroll, tmp_path
):
    path, sheet = scroll
    viewer.open(str(path), plugin="napari")
    (shown,) = viewer.layers
    assert shown.multiscale
    assert shown.scale.tolist() == [1, 1, 1]  # napari leaves the voxel size out
    labels = np.full(sheet.shape, 2, np.uint8)
    labels[64:128] = sheet[64:128]
    viewer.add_labels(labels, name="sheets", visible=False)
    viewer.dims.set_current_step(0, EDGE // 2)
    widget = SurfaceTrainingWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Surface training")
    widget.view.set_folder(tmp_path)
    for spin in widget.view.network.patch:
        spin.setValue(32)

    wait_for(lambda: len(widget.view.data.labels.meanings()) == 3, "the label values")
    widget.view.run.start.click()
    wait_for(lambda: widget.live.layers.prediction is not None, "a live prediction")
    session = get_session(viewer)
    run_dir = session.run_dir
    zarrs = [one.name for one in (run_dir / "inputs").iterdir() if one.suffix == ".zarr"]
    assert zarrs == ["labels_0.zarr"]
    (row,) = [row for row in session.volumes if row["role"] == "train"]
    assert row["image"] == str(path)
    assert row["spacing"] == [40, 10, 10]

    # The box on the screen is where the layer, which napari shows in voxels, has those voxels.
    preview = widget.live.layers.shown
    screen.run(2)
    frame = is_frame(*np.moveaxis(screen.grab(person.canvas).astype(int), -1, 0))
    rows, columns = np.flatnonzero(frame.sum(1) > 40), np.flatnonzero(frame.sum(0) > 40)
    first = person.to_canvas(np.asarray(preview.origin)[1:] - 0.5)
    last = person.to_canvas(np.add(preview.origin, preview.probabilities.shape)[1:] - 0.5)
    np.testing.assert_allclose([rows.min(), columns.min()], first, atol=3)
    np.testing.assert_allclose([rows.max(), columns.max()], last, atol=3)

    widget.view.run.stop.click()
    wait_for(lambda: not session.is_active, "the end")

    # Opened again: its volume, its labels and the newest prediction, where they were shown.
    viewer.layers.clear()
    open_in_place(viewer, str(run_dir), Jobs())
    wait_for(lambda: len(viewer.layers) == 3, "the run's layers")
    image, prediction, again = viewer.layers
    assert [type(layer) for layer in viewer.layers] == [Image, Image, Labels]
    assert image.name == shown.name
    assert image.scale.tolist() == [1, 1, 1]
    assert prediction.data.shape == preview.probabilities.shape
    np.testing.assert_array_equal(again.data, labels)
