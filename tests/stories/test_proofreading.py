"""From a prediction to a better one, as a person does it: doubt, mend, undo, teach, predict."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_surfseg.gui.predict.widget import PredictWidget
from napari_surfseg.gui.proofread.widget import ProofreadWidget
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.proofreading.record import MendRecord
from napari_surfseg.runs.folder import RunState

SHAPE = (40, 80, 80)
KEYS = {"W": Qt.Key.Key_W, "K": Qt.Key.Key_K, "Z": Qt.Key.Key_Z}


def make_scan():
    """Two wavy sheets, dark on grey; one has a hole, and a speck lies between them."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    wave = 4 * np.sin(z / 9) + 4 * np.cos(x / 13)
    sheets = np.minimum(np.abs(y - 26 - wave), np.abs(y - 54 - wave)) < 1.8
    hole = ((z - 20) ** 2 + (x - 40) ** 2 < 9) & (y < 40)
    speck = (z - 20) ** 2 + (y - 41) ** 2 + (x - 60) ** 2 < 9
    found = (sheets & ~hole) | speck
    noise = np.random.default_rng(0).normal(0, 12, SHAPE)
    return (150 - 90 * found + noise).clip(0, 255).astype(np.uint8), sheets, found


@pytest.fixture
def proofread(viewer):
    dock = ProofreadWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Proofread")
    return dock


@pytest.fixture
def press(viewer, screen):
    """Press a key in the canvas, which then has the focus."""

    def press(key, modifier=Qt.KeyboardModifier.NoModifier):
        canvas = viewer.window._qt_viewer.canvas.native
        canvas.setFocus()
        screen.run(0.2)
        QTest.keyClick(canvas, KEYS[key], modifier)
        screen.run(0.3)

    return press


def test_a_surface_is_mended_by_keys(viewer, proofread, press, wait_for, tmp_path):
    """The real search and window; the surface came out of no network."""
    _, _, found = make_scan()
    about = {"surfseg": "prediction", "part": "surface", "folder": str(tmp_path), "threshold": 0.5}
    layer = viewer.add_labels(found.astype(np.int32), name="sheets", metadata=about)
    probs = np.where(found, 230, 10).astype(np.uint8)
    probs[16:25, 36:46, 56:66][found[16:25, 36:46, 56:66]] = 150  # the speck
    viewer.add_image(probs, metadata={**about, "part": "probability"})
    view = proofread.view
    assert view.source("probabilities").layer is viewer.layers[-1]
    view.job.start.click()
    wait_for(lambda: view.panel.body.isVisible(), "the doubtful places")
    kinds = [place.kind for place in view.list.model.errors]
    assert {"hole", "small piece"} <= set(kinds)
    assert viewer.layers.selection.active is layer
    for kind in ("hole", "small piece"):
        index = kinds.index(kind)
        view.list.select(index)
        press("W")
        wait_for(lambda index=index: view.list.model.states[index] == "mended", f"mended {kind}")
    assert not layer.data[18:23, 39:44, 58:63].any()
    assert layer.data[20, :40, 40].any()
    press("Z", Qt.KeyboardModifier.ControlModifier)  # napari's own
    wait_for(lambda: view.list.model.states[kinds.index("small piece")] == "", "the undo")
    assert layer.data[20, 41, 60]
    press("K")
    press("Z", Qt.KeyboardModifier.ShiftModifier)
    assert [one.place.kind for one in MendRecord(tmp_path / "mends.jsonl").decisions] == ["hole"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_predict_mend_teach_and_predict_again(viewer, proofread, press, wait_for, tmp_path):
    image, _, _ = make_scan()
    viewer.add_image(image, name="scan")
    training = SurfaceTrainingWidget(viewer)
    viewer.window.add_dock_widget(training, name="Surface training")
    training.view.set_folder(tmp_path)
    predict = PredictWidget(viewer)
    viewer.window.add_dock_widget(predict, name="Predict surfaces")
    predict.view.set_folder(tmp_path / "predictions")
    wait_for(lambda: predict.view.form().checkpoint, "the network of the package")
    predict.view.job.start.click()
    wait_for(lambda: predict.controller.last is not None, "the prediction")
    predict.view.proofread.click()
    view = proofread.view
    wait_for(lambda: view.panel.body.isVisible(), "the doubtful places")
    assert view.source("labels") is None
    for number in range(2):
        index = view.current()
        press("W")
        wait_for(lambda index=index: view.list.model.states[index] or view.error.text(), "a mend")
        if view.current() == index:
            press("K")
        assert proofread.controller.mends.listing.num_decided == number + 1
    press("Z", Qt.KeyboardModifier.ShiftModifier)
    assert proofread.controller.mends.listing.num_decided == 1
    press("K")

    view.panel.teach.click()
    wait_for(lambda: "scan lessons" in viewer.layers, "the lessons")
    lessons = viewer.layers["scan lessons"]
    form = training.view.form()
    assert form.pairs[0].image.layer is viewer.layers["scan"]
    assert form.pairs[0].labels.layer is lessons
    assert training.view.network.start_from.value() == "surfaces-tiny"
    session = training.session
    training.view.training.steps.setValue(5)
    wait_for(training.view.run.start.isEnabled, "the form")
    training.view.run.start.click()
    wait_for(
        lambda: session.snapshot is not None and session.snapshot.state is RunState.RUNNING,
        "training",
    )
    press("K")
    changed = np.count_nonzero(lessons.data)
    view.panel.teach.click()
    wait_for(lambda: "labels of the run under way" in view.panel.message.text(), "the lesson")
    assert np.count_nonzero(lessons.data) >= changed
    wait_for(lambda: "are surface" in training.view.strokes.state.whole_text(), "it to be taken")
    wait_for(lambda: session.snapshot.step > 5, "a few steps")
    training.view.run.stop.click()
    wait_for(lambda: session.snapshot.state is RunState.STOPPED, "the end")
    before = predict.controller.last
    predict.controller.use_current()
    predict.view.job.start.click()
    wait_for(lambda: predict.controller.last is not before, "the second prediction")
    assert predict.view.error.text() == ""
    predict.view.proofread.click()
    wait_for(lambda: not proofread.controller.is_busy, "its doubtful places")
    assert proofread.controller.mends.listing.num_decided == 0
