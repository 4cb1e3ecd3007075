"""The offer to see what a network of the package finds in the chosen volume, and its progress."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import hint, note, push_button
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog

__all__ = ["FirstLook"]


class FirstLook(QWidget):
    """Passive: :meth:`offer` shows it, the signals say what a person wants."""

    find_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("first_look")
        self.find = push_button("find_now", "See what the network already finds here", "")
        cancel = push_button("cancel_find_now", "Cancel", "End the search; nothing of it is left.")
        self.find.clicked.connect(self.find_clicked)
        cancel.clicked.connect(self.cancel_clicked)
        state = note("")
        self.job = JobControls("find_now", start=self.find, cancel=cancel, state=state)
        bar = QHBoxLayout()
        bar.addWidget(self.job.progress, 1)
        bar.addWidget(cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.find)
        layout.addLayout(bar)
        layout.addWidget(state)
        self.set_busy(False)
        self.set_state("")
        self.offer(None)

    def offer(self, network: str | None) -> None:
        """Offer to look with a network of the package; None offers nothing."""
        self.setVisible(network is not None)
        hint(
            self.find,
            f"Let {network}, which comes with the package, look for surfaces in the volume as it "
            "is: all of a small one, what is on the canvas of a large one. It takes some seconds "
            "and needs no labels. What it finds is a layer of its own and never your label.",
        )

    def set_busy(self, busy: bool) -> None:
        """Switch between the offer and Cancel."""
        self.job.set_busy(busy)
        self.find.setVisible(not busy)
        self.job.cancel.setVisible(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1; empty says nothing."""
        self.job.set_state(text, share)
        self.job.state.setVisible(bool(text))

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)
