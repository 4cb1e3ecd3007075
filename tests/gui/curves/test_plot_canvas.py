"""The plot on its embedded canvas."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QEvent

from napari_surfseg.gui.curves.plot_canvas import PlotCanvas
from napari_surfseg.gui.curves.plot_line import Line
from napari_surfseg.gui.curves.plot_range import PlotRange


@pytest.fixture
def canvas(qtbot, make_napari_viewer):
    make_napari_viewer()  # whose teardown looks for canvases that were left behind
    widget = PlotCanvas()
    widget.resize(300, 200)
    yield widget
    widget.close_canvas()
    widget.deleteLater()
    # No event loop runs from here on, and PySide keeps what is only about to be deleted.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def line(title="loss", height=0.5, **options):
    return Line(title, np.array([0.0, 1.0]), np.array([height, height]), "#ff0000", **options)


def test_a_line_is_a_picture_at_its_height(canvas):
    canvas.set_line("a", line(height=0.25))
    canvas.flush()
    pixels = canvas.layer_of("a").data
    width, height = canvas.plot_size
    assert pixels.shape == (height, width)
    rows = np.flatnonzero(pixels.max(axis=1))
    assert rows.mean() == pytest.approx(0.75 * height, abs=1)


def test_changing_a_line_keeps_its_layer(canvas):
    canvas.set_line("a", line())
    canvas.flush()
    layer = canvas.layer_of("a")
    canvas.set_line("a", line(height=0.9))
    canvas.flush()
    assert canvas.layer_of("a") is layer
    assert np.flatnonzero(layer.data.max(axis=1)).mean() < 0.2 * canvas.plot_size[1]


def test_a_line_that_was_taken_away_is_hidden_and_its_layer_used_again(canvas):
    canvas.set_line("a", line("loss"))
    canvas.flush()
    layer = canvas.layer_of("a")
    canvas.clear()
    assert canvas.layer_of("a") is None
    assert not layer.visible
    canvas.set_line("a", line("loss of another run"))
    canvas.flush()
    assert canvas.layer_of("a") is layer
    assert layer.visible
    assert layer.name == "loss of another run"


def test_the_time_a_redraw_took_is_told(canvas, qtbot):
    with qtbot.waitSignal(canvas.drawn, timeout=5000) as drawn:
        canvas.set_line("a", line())
    assert drawn.args == [0.0]  # the making of a layer does not count
    with qtbot.waitSignal(canvas.drawn, timeout=5000) as drawn:
        canvas.set_line("a", line(height=0.8))
    assert drawn.args[0] > 0


def test_a_line_of_the_right_axis_has_its_own_values(canvas):
    canvas.set_range(PlotRange(0, 1, 0, 10), PlotRange(0, 1, 0.5, 1.0))
    canvas.set_line("score", line(height=0.75, axis="right"))
    canvas.flush()
    rows = np.flatnonzero(canvas.layer_of("score").data.max(axis=1))
    assert rows.mean() == pytest.approx(0.5 * canvas.plot_size[1], abs=1)
    canvas.set_range(PlotRange(0, 1, 0, 10))
    canvas.flush()
    assert not canvas.layer_of("score").data.any()


def test_a_line_changes_its_color_and_its_opacity(canvas):
    canvas.set_line("a", line())
    canvas.flush()
    canvas.set_line("a", Line("loss", np.zeros(1), np.zeros(1), "#0000ff", opacity=0.5))
    canvas.flush()
    layer = canvas.layer_of("a")
    assert layer.colormap.colors[-1].tolist() == pytest.approx([0, 0, 1, 1])
    assert layer.opacity == 0.5
