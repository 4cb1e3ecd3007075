"""What a person sees of the loss curves: the screen itself, under Qt's own event loop."""

from __future__ import annotations

import math

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_surfseg.events import StepFinished, ValidationFinished
from napari_surfseg.gui.curve_data import CURVE_COLORS
from napari_surfseg.gui.docks import show_curves


def make_step(number):
    total = 0.3 + math.exp(-number / 40)
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
    return show_curves(viewer, window)


@pytest.fixture
def training(curves):
    curves.panel.set_run("a run")
    training = Training(curves.panel)
    yield training
    training.timer.stop()


def test_the_curves_are_on_the_screen_all_the_time(curves, training, screen):
    plot = curves.findChild(QWidget, "loss_curves_canvas")
    screen.run(4.0)
    seen = []
    for _ in range(8):
        screen.run(0.5)
        seen.append(screen.count(plot, CURVE_COLORS["weighted_bce"]))
    assert min(seen) > 50, seen
