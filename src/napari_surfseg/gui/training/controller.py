"""What the buttons of the training widget do; works without a window."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.events import Pause, Resume, SaveNow, Stop
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.strokes.brush_controller import BrushController
from napari_surfseg.gui.strokes.controller import StrokesController
from napari_surfseg.gui.training.first_look_controller import FirstLookController
from napari_surfseg.gui.training.form_controller import FormController
from napari_surfseg.gui.training.many_controller import ManyController
from napari_surfseg.gui.training.start import Plan, execute_plan
from napari_surfseg.gui.training.start_from_controller import StartFromController
from napari_surfseg.gui.training.steering import SteeringController
from napari_surfseg.gui.training.where_controller import WhereController
from napari_surfseg.gui.window import preferences
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.lock import wait_for_release
from napari_surfseg.runs.standby import launch_prepared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel

    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["TrainingController"]

#: A new worker is noticed within one or two seconds; after this time the window no longer waits.
NOTICE_MILLISECONDS = 3000


class TrainingController(QObject):
    """Joins the view, the viewer's layers and the session; the buttons are its methods.

    ::

        layers ◀──▶ FormController ──▶ Plan ──▶ Start
        view   ◀──▶ SteeringController ◀──▶ run, while it trains
        strokes ──▶ StrokesController  ──▶ run

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are.
    view : TrainingViewProtocol
        Passive.
    session : Session
        Follows the run.
    ask : callable
        Puts a question to the person and waits for the answer; no where the callable that it
        is given says that the question is not wanted any more.
    launch : callable
        Starts a worker; replaced in tests.
    jobs : Jobs
        Runs what may wait; replaced in tests.
    """

    started = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        view: TrainingViewProtocol,
        session: Session,
        *,
        ask: Callable[[str, Callable[[], bool]], bool],
        launch: Callable[..., object] = launch_prepared,
        jobs: Jobs | None = None,
        runs_folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._session = session
        self._launch = launch
        self._jobs = jobs or Jobs()
        self._busy = ""
        self._is_cancelled = threading.Event()
        self._noticed = Debounce(self, NOTICE_MILLISECONDS, self._on_noticed)
        preferred = preferences.read_preferences()
        view.set_folder(runs_folder or preferred.runs_path)
        view.set_device(preferred.device)
        view.run.set_box_size(preferred.live_box)
        self._ask = ask
        self.form = FormController(viewer, view, self._jobs)
        self.many = ManyController(view, self._jobs)
        self.start_from = StartFromController(view, session, self._jobs)
        self.first_look = FirstLookController(viewer, view, self._jobs)
        self.where = WhereController(view, session, self._jobs)
        self.steering = SteeringController(view, session)
        self.strokes = StrokesController(viewer, view.strokes, session, self._jobs)
        self.brush = BrushController(viewer, view.data, view.strokes.brush, session)
        run = view.run
        run.start_clicked.connect(self.start)
        run.cancel_clicked.connect(self.cancel_start)
        run.pause_clicked.connect(self.pause)
        run.resume_clicked.connect(self.resume)
        run.stop_clicked.connect(self.stop)
        run.save_clicked.connect(self.save)
        run.preview_chosen.connect(session.show_preview)
        session.attached.connect(self._on_attached)
        session.worker_replaced.connect(self._on_worker_replaced)
        session.polled.connect(self._on_polled)
        session.previews_changed.connect(run.set_previews)
        session.follow_failed.connect(self._on_follow_failed)
        if session.snapshot is not None:
            self._on_polled(session.snapshot)

    def close(self) -> None:
        """Disconnect from the viewer and the session; the run continues."""
        self._noticed.stop()
        session, run = self._session, self._view.run
        for signal, slot in (
            (session.attached, self._on_attached),
            (session.worker_replaced, self._on_worker_replaced),
            (session.polled, self._on_polled),
            (session.previews_changed, run.set_previews),
            (session.follow_failed, self._on_follow_failed),
        ):
            disconnect(signal, slot)
        for part in (
            self.form,
            self.start_from,
            self.first_look,
            self.where,
            self.steering,
            self.strokes,
            self.brush,
        ):
            part.close()
        self._jobs.cancel_all()

    # -- start ---------------------------------------------------------------------

    def start(self) -> None:
        """Check the form, then write the run folder and launch in a thread."""
        self._view.clear_errors()
        try:
            plan = self.form.make_plan()
        except SurfsegError as error:
            self._view.show_error(str(error), error.field)
            return
        self._set_busy("Writing the run folder…")
        self._view.run.set_can_cancel(True)
        launch = self._launch
        cancelled = self._is_cancelled = threading.Event()

        def work(job: Job) -> Plan:
            def is_cancelled() -> bool:
                return cancelled.is_set() or job.is_cancelled()

            def check() -> None:
                if is_cancelled():
                    raise CancelledError("The start was cancelled; nothing of the run is left.")

            def ask(question: str) -> bool:
                return self._ask(question, is_cancelled)

            return execute_plan(plan, job.report, launch, ask=ask, check=check)

        self._jobs.start(
            "start",
            work,
            done=self._on_launched,
            failed=self._on_start_failed,
            progressed=self._view.run.set_busy_progress,
        )

    def cancel_start(self) -> None:
        """Cancel a start that is still copying; its thread removes what it wrote."""
        self._is_cancelled.set()
        self._set_busy("Cancelling…")

    def _on_launched(self, plan: Plan) -> None:
        self._set_busy("")
        layers = {**plan.image_layers, **plan.label_layers}
        self._view.data.confirm()
        self.first_look.hide()
        self._session.attach(plan.run_dir, own=True, layers=layers)
        self.strokes.follow(plan.label_layers)
        for note in plan.notes:
            show_info(note)
        self.started.emit(plan.run_dir)

    def _on_start_failed(self, error: SurfsegError) -> None:
        self._set_busy("")
        self._view.show_error(str(error), error.field)

    def _set_busy(self, text: str) -> None:
        self._busy = text
        self._view.run.set_can_cancel(False)
        self._view.set_snapshot(self._session.snapshot, busy=text)

    # -- buttons -------------------------------------------------------------------

    def pause(self) -> None:
        """Pause the run."""
        self.steering.send(Pause())

    def resume(self) -> None:
        """Continue the run: by a command to a paused worker, or with a new worker."""
        snapshot = self._session.snapshot
        run_dir = self._session.run_dir
        if snapshot is None or run_dir is None:
            return
        if snapshot.state is RunState.PAUSED:
            self.steering.send(Resume())
            return
        self._view.clear_errors()
        if snapshot.state is RunState.FAILED and snapshot.step == 0 and self._session.is_own:
            # Nothing was learned: what is painted and set now is what a person wants to try.
            self.start()
            return
        self.go_on(lambda: None)

    def go_on(self, prepare: Callable[[], None]) -> None:
        """Launch a new worker on the run, once the previous one has released it.

        ``prepare`` is called first, in the thread.
        """
        run_dir = self._session.run_dir
        if run_dir is None:
            return
        self._view.clear_errors()
        self._set_busy("Starting the worker again…")
        form = self._view.form()
        launch = self._launch
        where = {"launcher": form.launcher} if form.launcher else {}
        try:
            write_strokes = self.strokes.prepare_for_worker()
        except SurfsegError as error:
            self._on_start_failed(error)
            return

        def work(job: Job) -> Path:
            wait_for_release(RunFolder(run_dir).worker_path)
            prepare()
            write_strokes(job)
            has_checkpoint = RunFolder(run_dir).last_checkpoint.exists()
            launch(run_dir, device=form.device, resume=has_checkpoint, **where)
            return run_dir

        self._jobs.start("resume", work, done=self._on_relaunched, failed=self._on_start_failed)

    def _on_relaunched(self, run_dir: Path) -> None:
        # Until the new worker is seen, the run looks as ended as before.
        self._noticed.start()
        self._session.attach(run_dir, own=True)

    def _on_noticed(self) -> None:
        self._set_busy("")

    def stop(self) -> None:
        """Stop the run; one that waits for another machine is taken out of its queue."""
        snapshot = self._session.snapshot
        if snapshot is not None and snapshot.is_waiting:
            self._view.run.set_error("")
            self._session.cancel_job()
            return
        self.steering.send(Stop())

    def save(self) -> None:
        """Write last.pt now."""
        self.steering.send(SaveNow())

    # -- following -----------------------------------------------------------------

    def _on_attached(self, _run_dir: object) -> None:
        self.steering.forget()
        self._view.clear_errors()
        self._view.run.set_previews([])
        self._view.run.set_shown_preview("newest")

    def _on_worker_replaced(self, _run_dir: object) -> None:
        # The new worker has the weights of its checkpoint.
        self.steering.forget()

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        if self._noticed.isActive() and snapshot.state.is_active:
            self._noticed.stop()
            self._busy = ""
        self._view.set_snapshot(snapshot, busy=self._busy)
        self.steering.take(snapshot)
        if snapshot.state is RunState.FAILED:
            field = snapshot.error_field
            if field is not None and self._view.has_place_for(field):
                # Once is enough: beside the setting.
                self._view.run.set_state("Training failed: see beside the setting.")
                self._view.show_error(snapshot.message, field)

    def _on_follow_failed(self, message: str) -> None:
        self._view.run.set_error(message)
