"""What the dock "Runs" does: all that is done with the runs of a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QObject, QTimer, Signal

from napari_surfseg.errors import SurfsegError
from napari_surfseg.events import read_events
from napari_surfseg.gui.background.process_job import JobView, ProcessJob
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.run_table.run_list import RunList, RunRow
from napari_surfseg.gui.run_table.share_defaults import keep_share_settings, read_share_settings
from napari_surfseg.gui.run_table.share_run import complete_output, share_run, suggest_output
from napari_surfseg.gui.window import preferences
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.standby import launch_prepared
from napari_surfseg.sharing.settings import FORMATS, check_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.events import Event
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.sharing.settings import ShareFormat, ShareSettings

__all__ = ["RunsController", "RunsViewProtocol"]

#: Nobody waits for the table: every few seconds is often enough.
REFRESH_MILLISECONDS = 3000


class RunsViewProtocol(JobView, Protocol):
    """What the controller needs of the dock's widgets."""

    @property
    def folder_changed(self) -> Any:
        """Signal: a person named another folder; carries the path."""

    @property
    def attach_clicked(self) -> Any:
        """Signal: a person wants to follow the selected run."""

    @property
    def resume_clicked(self) -> Any:
        """Signal: a person wants to go on with the selected run."""

    @property
    def report_clicked(self) -> Any:
        """Signal: a person wants to read the report of the selected run."""

    @property
    def reveal_clicked(self) -> Any:
        """Signal: a person wants to see the folder of the selected run."""

    @property
    def compare_clicked(self) -> Any:
        """Signal: a person wants the curves of the two selected runs."""

    @property
    def share_clicked(self) -> Any:
        """Signal: a person wants to give the network of the selected run to others."""

    @property
    def cancel_share_clicked(self) -> Any:
        """Signal: a person wants to end that."""

    def share_format(self) -> ShareFormat:
        """Return as what the network is to be written."""

    def share_settings(self) -> ShareSettings:
        """Return what goes along with the network."""

    def set_share_settings(self, settings: ShareSettings) -> None:
        """Show what goes along."""

    def choose_output(self, suggested: Path) -> Path | None:
        """Let a person name what is written; None where they think better of it."""

    def set_folder(self, folder: Path) -> None:
        """Show which folder is listed."""

    def set_runs(self, rows: list[RunRow]) -> None:
        """Show runs; the selection stays with its runs."""

    def selected(self) -> list[str]:
        """Return the folders of the selected runs, from top to bottom."""

    def open_on_desktop(self, path: Path) -> bool:
        """Open a file or folder with the desktop's program for it; return whether there is one."""

    def set_error(self, message: str) -> None:
        """Show a sentence, or with an empty one nothing."""


class RunsController(QObject):
    """Joins the view and the session; it needs no window.

    Parameters
    ----------
    view : RunsViewProtocol
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
        view: RunsViewProtocol,
        session: Session,
        *,
        launch: Callable[..., object] = launch_prepared,
        jobs: Jobs | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._view = view
        self._session = session
        self._launch = launch
        self._jobs = jobs or Jobs()
        self._job = ProcessJob(
            view,
            self._jobs,
            module="napari_surfseg.sharing.export_process",
            what="export",
            title="Sharing a network",
        )
        self._list = RunList()
        self._is_reading = False
        self._folder = folder or preferences.read_preferences().runs_path
        view.set_folder(self._folder)
        view.set_share_settings(read_share_settings())
        view.folder_changed.connect(self.set_folder)
        view.attach_clicked.connect(self.attach)
        view.resume_clicked.connect(self.resume)
        view.report_clicked.connect(self.report)
        view.reveal_clicked.connect(self.reveal)
        view.compare_clicked.connect(self.compare)
        view.share_clicked.connect(self.share)
        view.cancel_share_clicked.connect(self.cancel_share)
        session.attached.connect(self._on_attached)
        self._timer = QTimer(self)
        self._timer.setInterval(REFRESH_MILLISECONDS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        if session.run_dir is not None:
            self._on_attached(session.run_dir)
        self.refresh()

    def close(self) -> None:
        """Read no more; an export under way ends."""
        self._timer.stop()
        self._job.cancel()
        self._jobs.cancel_all()

    def set_folder(self, text: str) -> None:
        """List another folder."""
        self._folder = Path(text).expanduser()
        self._is_reading = False
        self.refresh()

    def _on_attached(self, run_dir: Path) -> None:
        if run_dir.parent != self._folder:
            self._view.set_folder(run_dir.parent)
            self.set_folder(str(run_dir.parent))

    def refresh(self) -> None:
        """Read the folder again, in a thread, unless one is reading it already."""
        if self._is_reading:
            return
        self._is_reading = True
        folder, runs = self._folder, self._list

        def work(_job: Job) -> list[RunRow]:
            return runs.read(folder)

        self._jobs.start("list", work, done=self._on_read, failed=self._on_read_failed)

    def _on_read(self, rows: list[RunRow]) -> None:
        self._is_reading = False
        self._view.set_runs(rows)

    def _on_read_failed(self, error: SurfsegError) -> None:
        self._is_reading = False
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
            # Where it was trained before.
            launch(path, resume=RunFolder(path).last_checkpoint.exists(), launcher=None)
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
        """Open a file or folder with the desktop's program for it."""
        if not self._view.open_on_desktop(path):
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

    def share(self) -> None:
        """Write the network of the selected run for other programs, in a thread and a process."""
        path = self._selected()
        if path is None or self._job.is_busy:
            return
        view, kind = self._view, self._view.share_format()
        settings = replace(view.share_settings(), overwrite=True)
        suggested = suggest_output(path, kind)
        try:
            # What is missing is said before a person thinks of a name.
            check_share(suggested, kind, settings)
            chosen = view.choose_output(suggested)
            if chosen is None:
                return
            output = complete_output(chosen, kind)
            check_share(output, kind, settings)
        except SurfsegError as error:
            self._on_failed(error)
            return
        if output.exists() and not view.ask(f"{output} exists already. Replace it?"):
            return

        def work(process: JobProcess) -> Path:
            return share_run(path, output, kind, process, settings)

        def done(written: Path) -> None:
            self._job.end()
            keep_share_settings(settings)
            view.set_state(f"{FORMATS[kind]}: {written}, licence {settings.licence}.", 1.0)

        self._job.start(work, done=done, failed=self._on_share_failed)

    def cancel_share(self) -> None:
        """End the export; nothing is left of it."""
        self._job.cancel()

    def _on_share_failed(self, error: SurfsegError) -> None:
        self._view.set_state("Nothing was written.")
        self._on_failed(error)

    def _on_failed(self, error: SurfsegError) -> None:
        self._view.set_error(str(error))
