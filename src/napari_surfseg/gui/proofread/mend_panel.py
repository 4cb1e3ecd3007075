"""The buttons of a decision: right, wrong, each mend, undo, teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import hint, note

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MendPanel"]

#: Action, text and tooltip of each button, in rows.
BUTTONS = (
    (
        ("accept", "✓ Right", "The surface is right here as it is; go on to the next place."),
        (
            "reject",
            "✗ Wrong",
            "Take the mend that is proposed here (a hole is filled, a bridge cut, a loose end "
            "joined, a small piece removed; what is uncertain is marked as unsure) and go on.",
        ),
        ("mark unsure", "? Unsure", "Nobody can decide it: the voxels are never learned from."),
    ),
    (
        ("fill hole", "Fill", "Fill the hole, as thick as the sheet around it."),
        ("cut bridge", "Cut", "Cut the two sheets apart by the fewest voxels that will do."),
        ("join ends", "Join", "Join the two ends by a patch along the sheet."),
    ),
    (
        ("remove piece", "Remove", "Remove the connected piece, all of it."),
        (
            "follow labels",
            "As labels",
            "Make the patch that differs from the chosen labels as they have it.",
        ),
        ("undo", "Undo", "Take the last decision back; its place is open again."),
    ),
)
TEACH = (
    "Make labels of the places that are decided and let the network learn from them: the run "
    "under way takes them up like strokes; else they are chosen for the next run, which starts "
    "from the network that predicted. Only what lies around a decided place becomes labels."
)


class MendPanel(QObject):
    """The buttons; the dock lays them out.

    Parameters
    ----------
    parent : QWidget
        The dock.
    """

    clicked = Signal(str)
    """A person wants something done; carries the action."""
    teach_clicked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        self._tips: dict[str, str] = {}
        self.body = QWidget()
        grid = QGridLayout()
        grid.setSpacing(4)
        for row, line in enumerate(BUTTONS):
            for column, (action, text, tip) in enumerate(line):
                button = self._make(action.replace(" ", "_"), text, tip)
                button.clicked.connect(lambda _on=False, action=action: self.clicked.emit(action))
                grid.addWidget(button, row, column)
                self.buttons[action] = button
                self._tips[action] = tip
        self.teach = self._make("teach_network", "Teach the network", TEACH)
        self.teach.clicked.connect(self.teach_clicked)
        self.copy = self._make(
            "copy_to_mend",
            "Copy to mend",
            "This layer is read from its file as it is looked at, and the file stays as it is. "
            "Make a copy that can be mended: in memory, or a large one in a file beside the "
            "decisions.",
        )
        self.copy.clicked.connect(lambda _on=False: self.clicked.emit("copy"))
        self.copy.hide()
        self.progress = QLabel("")
        self.progress.setObjectName("proofread_progress")
        self.message = note("")
        self.message.setObjectName("proofread_message")
        layout = QVBoxLayout(self.body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.copy)
        layout.addLayout(grid)
        layout.addWidget(self.progress)
        layout.addWidget(self.teach)
        layout.addWidget(self.message)
        self.body.hide()

    def _make(self, name: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setStyleSheet("padding: 3px 4px;")  # three of them fit into the narrowest dock
        hint(button, tip)
        return button

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Say in the tooltips which key does the same."""
        for action, tip in self._tips.items():
            key = keys.get(action)
            hint(self.buttons[action], f"{tip} Key: {key}." if key else tip)

    def set_enabled(self, *, place: bool, undo: bool, teach: bool, labels: bool) -> None:
        """Say what can be pressed: with a place, something to take back, to teach, and labels."""
        for action, button in self.buttons.items():
            button.setEnabled(undo if action == "undo" else place)
        self.buttons["follow labels"].setEnabled(place and labels)
        self.teach.setEnabled(teach)

    def set_message(self, text: str) -> None:
        """Say what came of it; empty hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))
