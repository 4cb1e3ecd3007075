"""The dock "Proofread" with its real widgets, process and window."""

import numpy as np
from napari.components import ViewerModel

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.proofread.comparison import Comparison
from napari_surfseg.gui.proofread.layers import canvas_edge
from napari_surfseg.gui.proofread.widget import ProofreadWidget
from napari_surfseg.gui.run_session.session import get_session


def test_a_click_leads_from_layers_to_marks(qtbot, volumes):
    """With the real widgets and the real process."""
    viewer = ViewerModel()
    viewer.add_labels(volumes[1], name="labels")
    viewer.add_labels(volumes[0], metadata={"surfseg": "prediction", "part": "surface"})
    widget = ProofreadWidget(viewer)
    qtbot.addWidget(widget)
    view = widget.view
    qtbot.waitUntil(lambda: len(view.meanings()) == 2)
    # What is not annotated is not compared: only the labelled surface itself can be wrong.
    view.inputs.values.rows[0].meaning.setCurrentIndex(2)
    view.job.start.click()
    assert widget.controller.is_busy
    qtbot.waitUntil(lambda: not widget.controller.is_busy, timeout=60_000)
    assert view.error.text() == view.inputs.prediction_error.text() == ""
    assert "errors, the largest first." in view.job.state.text()
    assert "surface Dice" in view.scores.text()
    assert "matched" in view.counts.text()
    names = {error.name for error in view.list.model.errors}
    assert {"hole", "extra cavity"} <= names
    assert not {"bridge", "extra component"} & names
    qtbot.waitUntil(lambda: set(widget.controller.shown.layers) == names)
    widget.session.close()


def test_in_a_real_window(qtbot, make_napari_viewer, volumes, errors):
    """The canvas has its real size; the closed session lets the viewer go."""
    viewer = make_napari_viewer(show=True)
    labels = viewer.add_labels(volumes[1], name="labels", scale=(4, 2, 2))
    widget = ProofreadWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Proofread")
    widget.controller.show(Comparison({}, errors, ["Mind this."], (4.0, 2.0, 2.0)))
    assert widget.view.job.state.text().endswith("errors, the largest first. Mind this.")
    qtbot.waitUntil(lambda: len(viewer.layers) == 1 + len({error.name for error in errors}))
    for ndisplay in (2, 3):
        viewer.dims.ndisplay = ndisplay
        widget.view.list.step(1)
        error = errors[widget.view.list.table.currentIndex().row()]
        world = labels.data_to_world(error.location)
        np.testing.assert_allclose(viewer.dims.point, world)
        camera = camera_of(viewer)
        np.testing.assert_allclose(camera.center[-ndisplay:], world[-ndisplay:])
        assert 100 < canvas_edge(viewer) < 4000
        assert canvas_edge(viewer) / camera.zoom <= 120 * 4 * 1.01
    get_session(viewer).close()
    viewer.layers.remove("labels")
    assert not widget.controller.is_busy
