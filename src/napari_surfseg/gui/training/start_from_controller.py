"""Fills the chooser "Start from": what is offered, and what will be taken of what is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_surfseg.errors import ConfigError, SurfsegError
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.training.network_estimate import choose_device, read_model
from napari_surfseg.gui.training.start_from_note import (
    describe_file_start,
    describe_start,
    find_meant,
)
from napari_surfseg.runs.checkpoint_summary import read_summary
from napari_surfseg.runs.checkpoints import find_checkpoint
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.listing import find_runs

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["StartFromController"]

#: Runs that are offered; all others are a file or a folder away.
MAX_RECENT = 5


class StartFromController(QObject):
    """Joins the chooser, the runs on disk and the sentence below it.

    Parameters
    ----------
    view : TrainingViewProtocol
        Passive.
    session : Session
        A run of it that ends can be started from.
    jobs : Jobs
        Reads the disk, in a thread.
    """

    def __init__(self, view: TrainingViewProtocol, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._view = view
        self._session = session
        self._jobs = jobs
        self._described: Model | None = None
        self._listed = ""
        self._was_active = False
        view.form_changed.connect(self.refresh)
        session.polled.connect(self._on_polled)
        self.refresh()

    def close(self) -> None:
        """Let go of the session."""
        disconnect(self._session.polled, self._on_polled)

    def refresh(self) -> None:
        """Bring what follows from the form up to date."""
        form = self._view.form()
        device = choose_device(form, None)
        if form.folder != self._listed:
            self._listed = form.folder
            self._list_runs(form.folder)
        try:
            model = read_model(form)
            meant = find_meant(model, device)
        except ConfigError:
            return  # its sentence stands beside its control already
        self._view.set_automatic_start(None if meant is None else meant.name)
        said = describe_start(model, device)
        if said:
            self._described = None
            self._view.set_start_note(said)
        elif model != self._described:
            self._described = model
            self._describe_file(model)

    def _describe_file(self, model: Model) -> None:
        def work(_job: Job) -> str:
            return describe_file_start(model, read_summary(find_checkpoint(model.start_from)))

        def show(said: str) -> None:
            if self._described == model:
                self._view.set_start_note(said)

        def fail(error: SurfsegError) -> None:
            show(str(error))

        self._jobs.start("start from note", work, done=show, failed=fail)

    def _list_runs(self, folder: str) -> None:
        def work(_job: Job) -> list[tuple[str, str]]:
            path = Path(folder).expanduser()
            runs = reversed(find_runs(path)) if folder and path.exists() else ()
            trained = [run for run in runs if RunFolder(run).last_checkpoint.exists()]
            return [(str(run), _name_run(run)) for run in trained[:MAX_RECENT]]

        def fail(_error: SurfsegError) -> None:
            self._view.set_recent_starts([])

        self._jobs.start("recent runs", work, done=self._view.set_recent_starts, failed=fail)

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        if self._was_active and not snapshot.state.is_active:
            self._list_runs(self._listed)
        self._was_active = snapshot.state.is_active


def _name_run(path: Path) -> str:
    scored = read_summary(RunFolder(path).best_checkpoint).surface_dice
    return path.name if scored is None else f"{path.name} (surface Dice {scored:.2f})"
