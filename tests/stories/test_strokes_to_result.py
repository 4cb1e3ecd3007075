"""From strokes to a result and on to the next one, as a person does it, on the real screen."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_surfseg.data.open import open_volume
from napari_surfseg.gui.layers.colormaps import SURFACE_COLOR
from napari_surfseg.gui.live.style import FRAME_COLOR
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.gui.window.dock_layout import find_dock
from napari_surfseg.runs.folder import RunFolder, RunState

STROKES = QColor.fromRgbF(*SURFACE_COLOR[:3])
MIDDLE = 24


def make_sheet():
    """Make a wavy sheet, dark on grey, and say where it is."""
    z, y, x = np.mgrid[:48, :96, :96]
    sheet = np.abs(y - 48 - 12 * np.sin(z / 9) - 9 * np.cos(x / 13)) < 1.8
    noise = np.random.default_rng(0).normal(0, 14, sheet.shape)
    return (150 - 90 * sheet + noise).clip(0, 255).astype(np.uint8), sheet


@pytest.fixture
def dock(viewer, tmp_path):
    dock = SurfaceTrainingWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Surface training")
    dock.view.set_folder(tmp_path)
    for spin in dock.view.network.patch:
        spin.setValue(32)
    dock.view.training.steps.setValue(20)
    dock.view.control("preview.seconds").setValue(1.0)
    return dock


@pytest.fixture
def see(person, screen):
    """Count the pixels of a colour on the canvas, once it has had time to be painted."""

    def count(color):
        screen.run(1.0)
        return screen.count(person.canvas, color)

    return count


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_strokes_become_a_result_and_the_result_the_next_run(
    viewer, dock, person, screen, wait_for, see
):
    image, sheet = make_sheet()
    viewer.add_image(image, name="scan")
    view, session, live = dock.view, dock.session, dock.live.layers

    person.click("start_painting")
    for z in (MIDDLE - 6, MIDDLE + 6, MIDDLE):
        viewer.dims.set_point(0, z)
        screen.run(0.3)
        ridge = [(int(np.flatnonzero(sheet[z, :, x]).mean()), x) for x in range(20, 76, 4)]
        person.click("paint_surface")
        person.paint(ridge)
        person.click("paint_background")
        person.paint([(y - 20, x) for y, x in ridge])
    strokes = viewer.layers["scan strokes"]
    painted = see(STROKES)
    assert painted > 500

    # The strokes stay in view, over the prediction, whose frame has the chosen size.
    for spin in view.run.box.spins[1:]:
        spin.setValue(64)
    person.click("start")
    wait_for(lambda: live.skeleton is not None, "the first live prediction")
    assert [layer.name for layer in viewer.layers] == [
        "scan", "live prediction", "live skeleton", "scan strokes",
    ]  # fmt: skip
    assert live.prediction.data.shape == (32, 64, 64)
    framed = see(FRAME_COLOR)
    assert framed > 300
    assert see(STROKES) > 0.8 * painted
    QTest.keyClick(person.canvas, Qt.Key.Key_H)
    assert see(FRAME_COLOR) < 0.1 * framed
    QTest.keyClick(person.canvas, Qt.Key.Key_H)
    assert see(FRAME_COLOR) > 0.8 * framed
    first = session.run_dir
    wait_for(lambda: session.snapshot.epoch >= 4, "some epochs")
    assert see(STROKES) > 0.8 * painted
    person.click("stop")
    wait_for(lambda: view.run.next_steps.isVisible(), "the end")

    # Every sheet becomes surface.
    said = set()
    predicted = viewer.window._qt_window.findChild
    person.click("use_as_labels")

    def has_labels():
        state = predicted(QWidget, "predict_state")
        said.add(state.text() if state is not None else "")
        return "scan labels" in viewer.layers

    wait_for(has_labels, "the labels")
    assert any(text.endswith("…") for text in said), said
    labels = viewer.layers["scan labels"]
    assert np.unique(labels.data).tolist() == [0, 1]
    assert (labels.data[strokes.data == 1] == 1).all()
    assert (labels.data[strokes.data == 2] == 0).all()
    assert see(STROKES) + screen.count(person.canvas, STROKES.darker(130)) > 500
    pair = view.form().pairs[0]
    assert (pair.image.layer, pair.labels.layer) == (viewer.layers["scan"], labels)

    # The next run starts from this network, on these labels.
    find_dock(dock)[1].raise_()
    screen.run(0.5)
    person.click("start_from_network")
    wait_for(lambda: view.form().settings["model.start_from"], "the network to start from")
    person.click("start")
    wait_for(lambda: session.run_dir != first, "the second run")
    wait_for(
        lambda: session.snapshot is not None and session.snapshot.state is RunState.RUNNING,
        "the second run to train",
    )
    experiment = RunFolder(session.run_dir).read_experiment()
    assert experiment.model.start_from.startswith(str(first))
    copied = open_volume(experiment.data.train[0].labels)
    np.testing.assert_array_equal(copied.read((0, 0, 0), copied.shape), labels.data)
    person.click("stop")
    wait_for(lambda: session.snapshot.state is RunState.STOPPED, "the second end")
