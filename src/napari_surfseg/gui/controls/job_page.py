"""The page of a dock that does one job: what it works on, Start and Cancel, what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLayout, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import NARROWEST, NoWheelFilter, scrolled
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.controls.tab_order import TabOrder

if TYPE_CHECKING:
    from napari_surfseg.gui.controls.basics import FieldError
    from napari_surfseg.gui.controls.job_controls import JobControls

__all__ = ["JobPage"]


class JobPage(QWidget):
    """What such docks have in common; each adds its own controls and calls :meth:`lay_out`.

    Parameters
    ----------
    name : str
        Its objectName.
    job : JobControls
        Start, Cancel, progress and state.
    error : FieldError
        For sentences that are about no field.
    """

    def __init__(self, name: str, job: JobControls, error: FieldError) -> None:
        super().__init__()
        self.setObjectName(name)
        self.job = job
        self.error = error

    def lay_out(self, page: str, *parts: QWidget | QLayout, stretched: QWidget | None) -> None:
        """Put the parts below each other into a page that scrolls.

        Parameters
        ----------
        page : str
            Its objectName.
        parts : widgets and layouts
            From top to bottom.
        stretched : QWidget, optional
            Comes last and takes the space that is left.
        """
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(6, 4, 6, 4)
        inside.setSpacing(4)
        for part in parts:
            if isinstance(part, QLayout):
                inside.addLayout(part)
            else:
                inside.addWidget(part)
        if stretched is None:
            inside.addStretch(1)
        else:
            inside.addWidget(stretched, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(body, page))
        self.setMinimumWidth(NARROWEST)
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        self.set_busy(False)

    def set_busy(self, busy: bool) -> None:
        """Switch between Start and Cancel."""
        self.job.set_busy(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.job.set_state(text, share)

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)
