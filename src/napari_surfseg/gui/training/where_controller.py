"""Fills the choice of the machine that trains, without waiting for a disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.training.launcher_choice import LauncherChoice
from napari_surfseg.runs.launchers.library import list_launchers

if TYPE_CHECKING:
    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["WhereController"]


class WhereController:
    """Offers the launchers there are, and shows the one of the run that is followed.

    Parameters
    ----------
    view : TrainingViewProtocol
        Passive.
    session : Session
        Whose run is followed.
    jobs : Jobs
        Reads the files.
    """

    def __init__(self, view: TrainingViewProtocol, session: Session, jobs: Jobs) -> None:
        self._view = view
        self._session = session
        self._jobs = jobs
        self._wanted = ""
        self._shown_run: Path | None = None
        view.launchers_wanted.connect(self.look)
        session.polled.connect(self._on_polled)
        self.look()

    def close(self) -> None:
        """Disconnect from the session."""
        disconnect(self._session.polled, self._on_polled)

    def look(self) -> None:
        """Read the files, in a thread."""
        folder = self._view.form().folder

        def work(_job: Job) -> list[LauncherChoice]:
            beside = Path(folder).expanduser() if folder else None
            return [
                LauncherChoice(one.name, one.title, one.error) for one in list_launchers(beside)
            ]

        self._jobs.start("launchers", work, done=self._on_found, failed=self._on_failed)

    def _on_found(self, choices: list[LauncherChoice]) -> None:
        self._view.set_launchers(choices)
        if self._wanted:
            self._view.set_launcher(self._wanted)
            self._wanted = ""

    def _on_failed(self, error: SurfsegError) -> None:
        self._view.show_error(str(error), "launcher")

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        """Choose where a run that was just opened is trained, so that Resume goes on there."""
        run_dir = self._session.run_dir
        if run_dir == self._shown_run or run_dir is None:
            return
        self._shown_run = run_dir
        if snapshot.launch is not None:
            self._wanted = snapshot.launch.launcher
            self.look()
