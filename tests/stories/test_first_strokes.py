"""From the first stroke to a network that learns from it, and on after the dock was closed.

With real mouse strokes on the real canvas, a real worker, and what the screen shows.
"""

import numpy as np
import pytest

from napari_surfseg.events import LabelsUpdated
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.runs.folder import RunFolder, RunState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHAPE = (48, 96, 96)


def make_wall():
    """Make a wavy sheet that stands upright on every slice, bright on dark."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    sheet = np.abs(x - place_of_wall(z, y)) < 2
    noise = np.random.default_rng(0).normal(0, 20, SHAPE)
    return (80 + 90 * sheet + noise).clip(0, 255).astype(np.uint8), sheet


def place_of_wall(z, y):
    return 48 + 7 * np.sin(y / 12) + 4 * np.cos(z / 13)


def along_wall(z, y, shift=0):
    """Points of a stroke on the wall, or beside it."""
    return [(at, place_of_wall(z, at) + shift) for at in range(y, y + 16, 2)]


def is_surface_stroke(red, green, blue):
    return (red > 170) & (green < 130) & (blue > 140)


def is_background_stroke(red, green, blue):
    return (blue > 190) & (red < 150) & (green < 180)


def is_prediction(red, green, blue):
    return (red - blue > 45) & (red > 110) & (red >= green)


@pytest.fixture
def open_dock(viewer, screen, tmp_path):
    """Open "Surface training" with settings that train in seconds."""

    def make():
        widget = SurfaceTrainingWidget(viewer)
        dock = viewer.window.add_dock_widget(widget, name="Surface training")
        widget.view.set_folder(tmp_path)
        for spin in widget.view.network.patch:
            spin.setValue(32)
        widget.view.training.steps.setValue(20)
        widget.view.loss.rows["toploss_simple"].switch.setChecked(False)
        screen.run(0.5)
        return widget, dock

    return make


@pytest.fixture
def stroke(viewer, screen, person):
    """Drag the mouse over points (Y, X voxels) of a slice."""

    def paint(z, points):
        viewer.dims.set_current_step(0, z)
        screen.run(0.05)
        person.paint(points)

    return paint


def test_from_the_first_stroke_to_a_network_that_learns(
    viewer, open_dock, stroke, person, screen, wait_for
):
    session = get_session(viewer)
    image, wall = make_wall()
    viewer.add_image(image, name="scan")
    widget, dock = open_dock()
    view = widget.view
    view.data.paint.click()
    strokes = viewer.layers["scan strokes"]
    screen.run(0.5)
    assert not person.sees(is_surface_stroke)

    # Twelve strokes in the middle of the volume.
    for z in (20, 24, 28):
        view.strokes.brush.buttons["foreground"].click()
        for y in (30, 55):
            stroke(z, along_wall(z, y))
        view.strokes.brush.buttons["background"].click()
        for y in (30, 55):
            stroke(z, along_wall(z, y, shift=14 if y == 30 else -14))
    assert set(np.unique(strokes.data)) == {0, 1, 2}
    screen.run(1)
    seen = person.sees(is_surface_stroke)
    assert seen > 50
    assert person.sees(is_background_stroke) > 50
    assert not person.sees(is_prediction)
    wait_for(lambda: "voxels" in view.data.labels.values.rows[2].count.text(), "the counts")
    assert view.data.labels.meanings() == {0: "ignore", 1: "foreground", 2: "background"}

    # It starts, whatever there is to score, and predicts where the person looks.
    view.run.start.click()
    wait_for(lambda: widget.live.layers.prediction is not None, "a live prediction")
    assert view.run.error.text() == ""

    def has_learned():
        shown = widget.live.layers.shown
        if shown is None:
            return False
        place = tuple(
            slice(a, a + n) for a, n in zip(shown.origin, shown.probabilities.shape, strict=True)
        )
        on, off = shown.probabilities[wall[place]], shown.probabilities[~wall[place]]
        return on.mean() - off.mean() > 60

    wait_for(has_learned, "a prediction that finds the wall")
    screen.run(1)
    assert person.sees(is_prediction) > 100
    # The strokes lie over it.
    assert person.sees(is_surface_stroke) > 0.7 * seen

    # The dock is closed, and painted on; opened again, it brings what was painted.
    updates = []
    session.polled.connect(
        lambda snapshot: updates.extend(
            event for event in snapshot.new_events if isinstance(event, LabelsUpdated)
        )
    )
    dock.destroyOnClose()
    screen.run(1)
    strokes.selected_label = 1
    strokes.mode = "paint"
    before = int((strokes.data == 1).sum())
    stroke(26, along_wall(26, 40))
    painted = int((strokes.data == 1).sum()) - before
    assert painted > 10
    screen.run(4)
    assert not updates
    widget, dock = open_dock()
    assert widget.view.strokes.open.isHidden()
    wait_for(lambda: updates, "the stroke that was painted meanwhile")
    assert updates[0].num_changed == painted
    stroke(30, along_wall(30, 40))
    wait_for(lambda: len(updates) > 1, "a stroke with the new dock")
    names = [layer.name for layer in viewer.layers]
    assert sorted(names) == ["live prediction", "live skeleton", "scan", "scan strokes"]

    widget.view.run.stop.click()
    wait_for(lambda: session.snapshot.state is RunState.STOPPED, "the end")
    assert RunFolder(session.run_dir).last_checkpoint.exists()

    # At rest, too, the run takes strokes, and goes on with them.
    stroke(32, along_wall(32, 40))
    wait_for(lambda: "for Resume" in widget.view.strokes.state.whole_text(), "the run's own labels")
    widget.view.run.resume.click()
    wait_for(lambda: session.snapshot.state is RunState.RUNNING, "the run to go on")
    rows = sum(row["num_surface"] for row in session.volumes)
    assert rows > 0
    widget.view.run.stop.click()
    wait_for(lambda: session.snapshot.state is RunState.STOPPED, "the end")
