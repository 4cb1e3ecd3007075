"""A training from its configuration to its end: planned, assembled, and run.

It knows nothing of run folders or windows. Everything it reports goes through ``emit``, and every
command comes from ``poll_commands``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg import events
from napari_surfseg.cancelling import listening
from napari_surfseg.errors import CancelledError
from napari_surfseg.training.assembly import assemble_run
from napari_surfseg.training.loop import TrainingLoop
from napari_surfseg.training.plan import RunFolders, plan_run
from napari_surfseg.training.rank_processes import open_ranks
from napari_surfseg.training.reporting import Reporter
from napari_surfseg.training.state import TrainingState
from napari_surfseg.training.stop_listener import StopListener, answer_before_the_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.config import Experiment

__all__ = ["Trainer"]


class Trainer:
    """Trains one experiment to its end, or until it is stopped.

    Parameters
    ----------
    experiment : Experiment
        What to do.
    emit : callable
        Takes every event.
    poll_commands : callable
        Returns the commands that came since the last call.
    checkpoints, previews, samples : Path
        Folders to write to.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    resume : bool
        Go on from ``last.pt``.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        emit: Callable[[events.Event], None],
        poll_commands: Callable[[], list[events.Command]],
        checkpoints: Path,
        previews: Path,
        samples: Path,
        device: str = "auto",
        resume: bool = False,
    ) -> None:
        folders = RunFolders(checkpoints, previews, samples)
        self.state = TrainingState()
        self._reporter = Reporter(emit, self.state)
        self._ranks = open_ranks(experiment.training, device, self._report_lost)
        try:
            found = device if self._ranks is None else self._ranks.device
            self.plan = plan_run(experiment, folders, device=found, resume=resume)
        except BaseException:
            self._leave_others()
            raise
        self._poll_commands = poll_commands
        for folder in (checkpoints, previews):
            folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Train; ends in ``RunCompleted`` or ``RunStopped``, or raises."""
        try:
            self._run()
        finally:
            self._leave_others()

    def _run(self) -> None:
        commands = StopListener(self._poll_commands)
        try:
            with listening(commands.is_stopped):
                parts = assemble_run(self.plan, self.state, self._reporter, self._ranks)
        except CancelledError:
            answer_before_the_start(commands(), self._reporter.report)
            self._reporter.report_end(is_stopped=True)
            return
        with parts.loader:
            TrainingLoop(self.plan, parts, self.state, self._reporter, commands).run()

    def _leave_others(self) -> None:
        if self._ranks is not None:
            self._ranks.close()

    def _report_lost(self, sentence: str) -> None:
        """Report why the run ends, from another thread: this one waits in vain."""
        self._reporter.report(events.RunFailed(message=sentence))
