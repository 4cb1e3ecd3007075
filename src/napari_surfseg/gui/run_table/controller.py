"""What the "Runs" widget does: list, attach, resume, report, reveal, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, QUrl, Signal
from qtpy.QtGui import QDesktopServices

from napari_surfseg.events import read_events
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.run_table.run_list import RunList, RunRow
from napari_surfseg.gui.window import preferences
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.standby import launch_prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.events import Event
    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.run_table.view import RunsView

__all__ = ["RunsController"]

#: The table is looked at, not steered by: every few seconds is soon enough.
REFRESH_MILLISECONDS = 3000


class RunsController(QObject):
    """Joins the view and the session.

    Parameters
    ----------
    view : RunsView
        Passive.
    session : Session
        Shows the attached run.
    launch : callable
        Starts a worker; replaced in tests.
    """

    comparing = Signal(object, object)
    """Carries the folder and the events of the run to compare with."""
    attached = Signal(object)

    def __init__(
        self,
        view: RunsView,
        session: Session,
        *,
        launch: Callable[..., int] = launch_prepared,
        jobs: Jobs | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._view = view
        self._session = session
        self._launch = launch
        self._jobs = jobs or Jobs()
        self._list = RunList()
        self._looking = False
        self._folder = folder or preferences.read_preferences().runs_path
        view.set_folder(self._folder)
        view.folder_changed.connect(self.set_folder)
        view.attach_clicked.connect(self.attach)
        view.resume_clicked.connect(self.resume)
        view.report_clicked.connect(self.report)
        view.reveal_clicked.connect(self.reveal)
        view.compare_clicked.connect(self.compare)
        session.attached.connect(self._on_attached)
        self._timer = QTimer(self)
        self._timer.setInterval(REFRESH_MILLISECONDS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        if session.run_dir is not None:
            self._on_attached(session.run_dir)
        self.refresh()

    def close(self) -> None:
        """Stop looking."""
        self._timer.stop()
        self._jobs.cancel_all()

    def set_folder(self, text: str) -> None:
        """List another folder."""
        self._folder = Path(text).expanduser()
        self._looking = False
        self.refresh()

    def _on_attached(self, run_dir: Path) -> None:
        if run_dir.parent != self._folder:
            self._view.set_folder(run_dir.parent)
            self.set_folder(str(run_dir.parent))

    def refresh(self) -> None:
        """Look at the folder again, in a thread; a look under way is not doubled."""
        if self._looking:
            return
        self._looking = True
        folder, runs = self._folder, self._list

        def work(_job: Job) -> list[RunRow]:
            return runs.look(folder)

        self._jobs.start("list", work, done=self._on_looked, failed=self._on_look_failed)

    def _on_looked(self, rows: list[RunRow]) -> None:
        self._looking = False
        self._view.set_runs(rows)

    def _on_look_failed(self, error: SurfsegError) -> None:
        self._looking = False
        self._view.set_runs([])
        self._view.set_error(str(error))

    def _selected(self) -> Path | None:
        found = self._view.selected()
        self._view.set_error("")
        return Path(found[0]) if found else None

    def attach(self) -> None:
        """Show the selected run."""
        path = self._selected()
        if path is not None:
            self._session.attach(path)
            self.attached.emit(path)

    def resume(self) -> None:
        """Go on with the selected run and show it."""
        path = self._selected()
        if path is None:
            return
        launch = self._launch

        def work(_job: Job) -> Path:
            launch(path, resume=RunFolder(path).last_checkpoint.exists())
            return path

        self._jobs.start("resume", work, done=self._on_resumed, failed=self._on_failed)

    def _on_resumed(self, path: Path) -> None:
        self._session.attach(path, own=True)
        self.attached.emit(path)

    def report(self) -> None:
        """Open the report of the selected run, written now if there is none."""
        path = self._selected()
        if path is None:
            return

        def work(_job: Job) -> Path:
            folder = RunFolder(path)
            if not folder.report_path.exists():
                from napari_surfseg.runs.report.page import write_report

                write_report(path)
            return folder.report_path

        self._jobs.start("report", work, done=self.open_path, failed=self._on_failed)

    def reveal(self) -> None:
        """Show the folder of the selected run in the file manager."""
        path = self._selected()
        if path is not None:
            self.open_path(path)

    def open_path(self, path: Path) -> None:
        """Hand a file or folder to the desktop."""
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            self._view.set_error(f"This desktop has no program to open {path}.")

    def compare(self) -> None:
        """Show two runs on the same curves: the upper selected one, and the other beside it."""
        found = self._view.selected()
        if len(found) != 2:
            return
        first, second = Path(found[0]), Path(found[1])
        if self._session.run_dir == second:
            first, second = second, first
        if self._session.run_dir != first:
            self._session.attach(first)
        self.attached.emit(first)

        def work(_job: Job) -> list[Event]:
            return read_events(RunFolder(second).events_path)

        self._jobs.start(
            "compare",
            work,
            done=lambda events: self.comparing.emit(second, events),
            failed=self._on_failed,
        )

    def _on_failed(self, error: SurfsegError) -> None:
        self._view.set_error(str(error))
