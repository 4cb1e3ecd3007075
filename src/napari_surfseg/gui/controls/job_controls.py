"""The controls of a job in a process: one button that starts it, one that ends it, its progress."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton

from napari_surfseg.gui.controls.basics import hint

__all__ = ["JobControls"]


class JobControls:
    """What each dock that runs a job shows of it; the dock lays the parts out.

    Parameters
    ----------
    name : str
        Begins the objectNames of the bar and the sentence.
    start, cancel : QPushButton
        Only one of them can be pressed at a time.
    state : QLabel
        Says what is going on.
    """

    def __init__(
        self, name: str, *, start: QPushButton, cancel: QPushButton, state: QLabel
    ) -> None:
        self.start = start
        self.cancel = cancel
        self.state = state
        state.setObjectName(f"{name}_state")
        self.progress = QProgressBar()
        self.progress.setObjectName(f"{name}_progress")
        self.progress.setRange(0, 1000)
        self.progress.setFixedHeight(16)
        hint(self.progress, "Share of the present stage that is done (per cent).")
        self.buttons = QHBoxLayout()
        self.buttons.addWidget(start)
        self.buttons.addWidget(cancel)

    def set_busy(self, busy: bool) -> None:
        """Switch between Start and Cancel."""
        self.start.setEnabled(not busy)
        self.cancel.setEnabled(busy)
        self.progress.setVisible(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.state.setText(text)
        if share is not None:
            self.progress.setValue(round(1000 * share))
