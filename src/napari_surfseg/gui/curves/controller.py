"""Joins the loss curves with the run that the session follows; works without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from qtpy.QtCore import QObject

from napari_surfseg.gui.background.signals import disconnect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_surfseg.events import Event
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["CurvesController", "CurvesViewProtocol"]


class CurvesViewProtocol(Protocol):
    """What the controller needs of the curves."""

    def set_run(self, name: str, *, slot: int = 0) -> None:
        """Begin with another run."""

    def add_events(self, events: Iterable[Event], *, slot: int = 0) -> None:
        """Take in new events of the run."""

    def redraw_now(self) -> None:
        """Show at once what is there."""


class CurvesController(QObject):
    """Feeds the curves with the events of the session's run.

    Parameters
    ----------
    view : CurvesViewProtocol
        Passive.
    session : Session
        Follows the run.
    """

    def __init__(self, view: CurvesViewProtocol, session: Session) -> None:
        super().__init__()
        self._view = view
        self._session = session
        session.attached.connect(self._on_attached)
        session.polled.connect(self._on_polled)
        if session.run_dir is not None:
            view.set_run(session.run_dir.name)
            view.add_events(tuple(session.history))

    def close(self) -> None:
        """Follow the session no longer."""
        disconnect(self._session.attached, self._on_attached)
        disconnect(self._session.polled, self._on_polled)

    def _on_attached(self, run_dir: Path) -> None:
        self._view.set_run(run_dir.name)

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        self._view.add_events(snapshot.new_events)
        if not snapshot.state.is_active:
            self._view.redraw_now()
