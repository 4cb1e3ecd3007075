"""Above the run panel: what the brush paints, and whether the run has what was painted."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import ElidedLabel, FieldError, hint
from napari_surfseg.gui.strokes.brush_buttons import BrushButtons

__all__ = ["StrokesPanel"]


class StrokesPanel(QWidget):
    """Passive: ``set_*`` fills it, signals say what a person wants."""

    send_clicked = Signal()
    automatic_toggled = Signal(bool)
    open_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("strokes_panel")
        self.brush = BrushButtons()
        self.sending = QWidget()
        self.automatic = QCheckBox("Send while painting")
        self.automatic.setObjectName("send_strokes_automatically")
        self.automatic.setChecked(True)
        hint(
            self.automatic,
            "Let the run learn from what you paint: three seconds after the brush rests, the "
            "changed parts of the labels layer go into the run's own copy, also while the run "
            "rests. The layer's file on disk is not changed, and labels chosen as a file are not "
            "either.",
        )
        self.send = QPushButton("Send labels")
        self.send.setObjectName("send_labels")
        hint(
            self.send,
            "Put what was painted into the run's copy of the labels now; the worker checks it and "
            "uses it from the next step on. Files that the layer came from are not changed.",
        )
        self.open = QPushButton("Open the run's volume and labels")
        self.open.setObjectName("open_run_layers")
        hint(
            self.open,
            "Add the volume and the run's own labels as layers, in place, to see them and to "
            "paint on: the run learns from it, now or when it is resumed.",
        )
        self.open.setVisible(False)
        self.state = ElidedLabel()
        self.state.setObjectName("strokes_state")
        self.error = FieldError("strokes")
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.automatic)
        line.addStretch(1)
        line.addWidget(self.send)
        inside = QVBoxLayout(self.sending)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(2)
        inside.addLayout(line)
        inside.addWidget(self.open)
        inside.addWidget(self.state)
        inside.addWidget(self.error)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(2)
        layout.addWidget(self.brush)
        layout.addWidget(self.sending)
        self.automatic.toggled.connect(self.automatic_toggled)
        self.send.clicked.connect(self.send_clicked)
        self.open.clicked.connect(self.open_clicked)
        self.sending.setVisible(False)

    def is_automatic(self) -> bool:
        """Whether strokes are to be sent when the brush rests."""
        return self.automatic.isChecked()

    def set_shown(self, shown: bool) -> None:
        """Show how strokes reach the run, while it can take them."""
        if self.sending.isVisibleTo(self) != shown:
            self.sending.setVisible(shown)

    def set_can_send(self, can_send: bool) -> None:
        """Offer the button or not."""
        self.send.setEnabled(can_send)

    def set_can_open(self, can_open: bool, *, busy: bool = False) -> None:
        """Offer to open what the run learns from, or not."""
        self.open.setEnabled(not busy)
        self.open.setVisible(can_open)
        self.automatic.setVisible(not can_open)
        self.send.setVisible(not can_open)

    def set_state(self, text: str) -> None:
        """Say whether the run has what was painted."""
        self.state.set_text(text)

    def set_error(self, message: str) -> None:
        """Show why strokes were not taken, or with an empty sentence nothing."""
        self.error.set_message(message)
