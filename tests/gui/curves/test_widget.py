"""What a person sees of the loss curves: the screen itself, under Qt's own event loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_surfseg.events import DataChecked, StepFinished, ValidationFinished
from napari_surfseg.gui.curves.legend import line_color
from napari_surfseg.gui.curves.widget import LossCurvesWidget
from napari_surfseg.gui.window.dock_layout import find_dock, show_dock
from napari_surfseg.vocabulary import color_of


def make_step(number):
    noise = 0.15 * math.sin(12.9 * number) * math.sin(3.1 * number)
    total = 0.3 + math.exp(-number / 60) + noise + (40.0 if number == 120 else 0.0)
    return StepFinished(
        step=number,
        epoch=1,
        losses={"soft_dice": 0.9 * total, "cldice": 0.8 * total, "weighted_bce": 0.5 * total},
        head_total=0.7 * total,
        total=total,
        learning_rate=1e-3,
        gradient_norm=1.0,
        steps_per_second=1.0,
        elapsed_seconds=float(number),
        progress=0.1,
    )


def make_scores(number):
    value = 0.9 - 0.5 * math.exp(-number / 80)
    return ValidationFinished(
        step=number,
        epoch=number // 50,
        metrics={"surface_dice": value, "dice": 0.9 * value},
        threshold=0.5,
        is_best=True,
        seconds=1.0,
    )


#: Pixels of its colour that a curve has at least; where others cross there are a few by chance.
LEAST = 50


def shows(screen, widget, color):
    return screen.count(widget, color) > LEAST


class Training:
    """Feeds a panel with what a run says, ten steps every fifth of a second."""

    def __init__(self, panel):
        self.panel = panel
        self.step = 0
        self.timer = QTimer()
        self.timer.timeout.connect(self.go_on)
        self.timer.start(200)

    def go_on(self):
        events = [make_step(self.step + number) for number in range(1, 11)]
        self.step += 10
        if self.step % 50 == 0:
            events.append(make_scores(self.step))
        self.panel.add_events(events)


@pytest.fixture
def curves(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window.move(0, 0)
    viewer.window.resize(1000, 700)
    return show_dock(LossCurvesWidget, viewer, window)


@pytest.fixture
def training(curves):
    curves.panel.set_run("a run")
    training = Training(curves.panel)
    yield training
    training.timer.stop()


def test_the_curves_are_on_the_screen_all_the_time(curves, training, screen):
    plot = curves.findChild(QWidget, "loss_curves_canvas")
    assert screen.run(20.0, lambda: shows(screen, plot, color_of("surface_dice")))
    losses, scores = [], []
    while len(losses) < 8 or training.step < 150:
        screen.run(0.5)
        losses.append(screen.count(plot, color_of("total")))
        scores.append(screen.count(plot, color_of("surface_dice")))
    assert min(losses) > LEAST, losses
    assert min(scores) > LEAST, scores
    # What is folded away is not drawn, and a spike flattens nothing.
    assert not shows(screen, plot, color_of("soft_dice"))
    assert curves.panel.canvas.range.y1 < 2.0


def test_terms_are_one_click_away(curves, training, screen):
    plot = curves.findChild(QWidget, "loss_curves_canvas")
    fold = curves.findChild(QWidget, "loss_term_curves")
    screen.run(2.0)
    fold.click()
    assert screen.run(9.0, lambda: shows(screen, plot, color_of("soft_dice")))
    fold.click()
    assert screen.run(9.0, lambda: not shows(screen, plot, color_of("soft_dice")))


def test_the_curves_follow_the_theme(curves, training, screen):
    plot = curves.findChild(QWidget, "loss_curves_canvas")
    assert screen.run(9.0, lambda: shows(screen, plot, line_color("total", light=False)))
    assert screen.count(plot, "#ffffff") == 0
    curves._viewer.theme = "light"
    ground = plot.width() * plot.height() / 2
    assert screen.run(
        9.0,
        lambda: (
            screen.count(plot, "#ffffff") > ground
            and shows(screen, plot, line_color("total", light=True))
        ),
    )


def test_comparing_can_be_ended(curves, training, screen):
    panel = curves.panel
    screen.run(2.0)
    panel.set_run("another run", slot=1)
    panel.add_events([make_step(number) for number in range(1, 60)], slot=1)
    button = curves.findChild(QWidget, "end_comparing")
    assert screen.run(9.0, lambda: panel.canvas.layer_of("1:total") is not None)
    assert button.isVisible()
    assert "another run" in panel.run_label.whole_text()
    button.click()
    assert panel.canvas.layer_of("1:total") is None
    assert not button.isVisible()
    assert panel.run_label.whole_text() == "a run"


def test_the_legend_belongs_to_the_run_shown(curves, training, screen):
    panel = curves.panel
    assert screen.run(9.0, lambda: "surface_dice" in panel.legend.rows)
    assert {"total", "surface_dice", "best", "soft_dice", "dice"} <= set(panel.legend.rows)
    training.timer.stop()
    panel.set_run("another run")
    panel.add_events([DataChecked(volumes=[{"role": "train"}]), make_step(1), make_step(2)])
    assert screen.run(9.0, lambda: "total" in panel.legend.rows)
    assert not {"surface_dice", "best", "dice"} & set(panel.legend.rows)
    assert panel.canvas.titles.right == "no validation"
    assert panel.canvas.right_range is None
    assert panel.legend.note.isVisible()


def test_adding_to_the_viewer_is_one_picture(curves, training, screen):
    viewer = curves._viewer
    volume = viewer.add_image(np.zeros((4, 30, 30)), scale=(2, 5, 5), units="um")
    screen.run(3.0)
    curves.panel.controls.add_button.click()
    assert [layer.name for layer in viewer.layers] == ["Image", "curves [a run]"]
    picture = viewer.layers[1]
    assert picture.data[..., 3].any()
    assert picture.units == volume.units[-2:]
    assert picture.translate[-1] > 30 * 5 - 5
    assert viewer.layers.selection.active is volume


def test_adding_again_lies_beside_the_volume_not_beside_other_curves(curves, training, screen):
    viewer = curves._viewer
    viewer.add_image(np.zeros((4, 30, 30)), scale=(2, 5, 5))
    screen.run(3.0)
    for _ in range(6):
        curves.panel.controls.add_button.click()
    scales = [layer.scale[-1] for layer in viewer.layers[1:]]
    assert np.ptp(scales) < 1e-9 + 0.2 * scales[0]  # the canvas may have changed its size
    assert viewer.layers.extent.world[1, -1] < 40 * 30 * 5


def test_a_dock_that_was_closed_opens_again(curves, training, screen):
    viewer = curves._viewer
    window = viewer.window._qt_window
    training.timer.stop()
    _, dock = find_dock(curves)
    dock.title.close_button.click()
    again = show_dock(LossCurvesWidget, viewer, window)
    assert again is not curves
    again.panel.set_run("a run")
    again.panel.add_events(make_step(number) for number in range(1, 100))
    plot = again.findChild(QWidget, "loss_curves_canvas")
    assert screen.run(9.0, lambda: shows(screen, plot, color_of("total")))


def test_the_score_of_strokes_is_in_view_at_once(curves, training, screen):
    training.timer.stop()
    panel = curves.panel
    panel.add_events(
        [
            ValidationFinished(
                step=number,
                epoch=1,
                metrics={"dice": number / 200, "precision": 0.4, "recall": 0.6},
                threshold=0.5,
                is_best=True,
                seconds=1.0,
                scored_by="dice",
                is_sparse=True,
            )
            for number in range(10, 160, 10)
        ]
    )
    plot = curves.findChild(QWidget, "loss_curves_canvas")
    assert screen.run(9.0, lambda: shows(screen, plot, color_of("dice")))
    assert panel.legend.is_shown("dice")
    assert not panel.legend.is_shown("precision")
    assert panel.canvas.titles.right == "Dice"
