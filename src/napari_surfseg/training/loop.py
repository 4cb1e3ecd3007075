"""The training loop: learn, report, validate, save, and apply commands between two steps."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg import events
from napari_surfseg.cancelling import is_stop_wanted, listening, raise_if_stopped
from napari_surfseg.errors import CancelledError, DataError, OutputError
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.out_of_memory import when_out_of_memory
from napari_surfseg.training.kept_settings import KeptSettings
from napari_surfseg.training.memory_ladder import MemoryLadder
from napari_surfseg.training.recovery import StepRecovery
from napari_surfseg.training.reporting import EpochMeans
from napari_surfseg.training.schedule import Bounds
from napari_surfseg.training.speed_trial import try_speeds
from napari_surfseg.training.tuning import tune_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_surfseg.training.assembly import RunParts
    from napari_surfseg.training.plan import RunPlan
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.scoring import Scoring
    from napari_surfseg.training.state import TrainingState
    from napari_surfseg.training.stop_listener import StopListener
    from napari_surfseg.training.validation import Validator

__all__ = ["TrainingLoop"]

#: What a picture for people may fail with, which is no reason to end a training.
UNWRITABLE = (OutputError, DataError, OSError)
#: How often a paused worker looks for commands.
PAUSE_SECONDS = 0.1
#: What a person changes is saved so soon, and several changes in a row once.
CHANGED_SECONDS = 5.0
STILL_PAUSED = (
    "The run was paused when its worker ended, and waits still: continue it in the window, or stop "
    "it and resume."
)
NO_MEMORY_FOR_PREVIEW = (
    "The live preview could not be made: there is not enough memory; choose a smaller region with "
    "preview.size."
)
#: What the report of a stopped run shows is made within this time.
STOPPED_SECONDS = 1.0
UNTUNED = "No post-processing could be chosen, so best.pt is used with a plain threshold"
LASTING = (
    events.Resume,
    events.SetLossWeights,
    events.SetPreview,
    events.SetTraining,
    events.UpdateLabels,
)


class TrainingLoop:
    """Goes through the epochs of an assembled run.

    Parameters
    ----------
    plan : RunPlan
        Device, folders, and whether the run is resumed.
    parts : RunParts
        What it works with.
    state : TrainingState
        Counts the steps.
    reporter : Reporter
        Sends the events.
    poll_commands : StopListener
        Returns the commands that came since the last call.
    """

    def __init__(
        self,
        plan: RunPlan,
        parts: RunParts,
        state: TrainingState,
        reporter: Reporter,
        poll_commands: StopListener,
    ) -> None:
        self._plan = plan
        self._parts = parts
        self._training = parts.experiment.training
        self._state = state
        self._reporter = reporter
        self._poll_commands = poll_commands
        self._ladder = MemoryLadder(
            parts,
            StepRecovery(parts.learner, state, parts.steering, reporter),
            reporter,
            divisor=None if plan.architecture.has_fixed_size else plan.architecture.divisor,
        )
        self._preview_trouble = ""
        self._memory_troubles: set[str] = set()
        self._means = parts.means
        self._saved_step = state.step
        self._save_due = time.monotonic() + 60 * self._training.save_minutes

    def run(self) -> None:
        """Train to the end, or until it is stopped.

        Whatever ends it, ``last.pt`` holds the steps that were taken.
        """
        try:
            self._run()
        except BaseException:
            self._save_before_failing()
            raise
        finally:
            self._parts.checkpoints.wait()

    def _run(self) -> None:
        if self._means.is_cut_short and not self._is_over():
            self._state.epoch -= 1  # it goes on
            self._means.is_cut_short = False
        self._reporter.report_start(
            self._plan,
            self._parts.experiment,
            self._parts.steering,
            num_parameters=self._parts.learner.num_parameters,
            patch_size=self._ladder.rung.patch_size,
            num_processes=1 if self._parts.lead is None else self._parts.lead.num_processes,
        )
        self._ladder.report_start()
        if self._parts.steering.is_waiting():
            self._reporter.warn(STILL_PAUSED)
        if self._parts.threads is not None:
            self._parts.threads.begin()
        self._show_what_is_known()
        self._compile_ahead()
        self._state.skip_time()
        while not self._is_over():
            self._run_epoch()
        if self._means.num_steps and not (
            self._means.is_cut_short or self._parts.steering.is_stopping
        ):
            self._end_epoch()  # killed between its last step and its report
        self._finish()

    def _show_what_is_known(self) -> None:
        """Show what is found before the first step, if somebody is watching.

        By the pixel classifier that was trained on the strokes, by the network that the run
        starts from, or by both; a network that begins from noise finds nothing yet.
        """
        start, stroke_start = self._plan.start, self._parts.stroke_start
        if stroke_start is not None:
            self._reporter.warn(stroke_start.describe())
        elif start is None or not start.is_whole:
            return
        with self._parts.loader.held():
            self._apply_commands()
            if self._parts.previewer.is_on:
                self._write_preview()

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Let a ``Stop`` end what is done inside, which leaves nothing half done, and apply it."""
        with contextlib.suppress(CancelledError), listening(self._poll_commands.is_stopped):
            yield
        if self._poll_commands.is_stopped():
            self._apply_commands()

    def _compile_ahead(self) -> None:
        """Run every compiled loop once: after an installation that takes some seconds.

        They belong neither to the time a person gives to training nor to the first step.
        """
        sheet = np.zeros((8, 8, 8), np.uint8)
        sheet[3:5] = 1
        for compile_some in (
            self._try_speeds,
            lambda: self._parts.loader.build(self._state.step),
            lambda: self._parts.learner.compile_ahead(self._parts.steering.loss_weights),
            lambda: compute_metrics(sheet, np.roll(sheet, 1, axis=0), progress=raise_if_stopped),
        ):
            self._apply_commands()
            if self._parts.steering.is_stopping:
                return
            with self._stoppable(), when_out_of_memory(lambda: None):  # the step itself finds out
                compile_some()

    def _try_speeds(self) -> None:
        """Find the quickest way of computing, where there is more than one."""
        rung = self._ladder.rung
        found = try_speeds(
            self._parts.learner.gradients,
            self._parts.steering.loss_weights,
            patch_size=rung.patch_size,
            num_patches=rung.patches_at_once,
            device=self._plan.device,
        )
        if found is not None:
            self._reporter.report(found)

    def _run_epoch(self) -> None:
        means = self._means
        num_before = means.num_steps
        if num_before == 0:
            means.begun_at = self._state.elapsed_seconds()
        iterations = self._training.train_iterations_per_epoch
        self._reporter.begin_epoch()
        while means.num_steps < iterations:
            self._wait_for_commands()
            if self._is_over():
                break
            self._take_step(means)
            if self._parts.previewer.is_due():
                self._write_preview()
            self._save_if_due()
        if means.num_steps > num_before or means.num_steps >= iterations:
            self._end_epoch()

    def _end_epoch(self) -> None:
        """Count and report the epoch, score it and save."""
        means = self._means
        is_whole = means.num_steps >= self._training.train_iterations_per_epoch
        self._state.epoch += 1
        # Counted once, whatever happens from here on.
        self._means = EpochMeans() if is_whole else replace(means, is_cut_short=True)
        self._reporter.report_epoch(
            means,
            progress=self._progress(),
            patches=self._parts.loader.epoch_stats(reset=is_whole),
            cache=self._parts.data.cache.stats().as_dict(),
        )
        for text in self._parts.loader.take_warnings():
            self._reporter.warn(text)
        self._score_epoch(is_whole=is_whole)
        self._save_last()

    def _take_step(self, means: EpochMeans) -> None:
        """Take one optimizer step and report it; one that is stopped changes nothing."""
        parts, state = self._parts, self._state
        begun = time.perf_counter()
        scheduled = parts.schedule.compute_rate(self._bounds(), state.step, state.elapsed_seconds())
        rate = parts.steering.rate_scale * scheduled
        values = None
        with self._stoppable():
            values = self._ladder.take_step(rate)
            state.step += 1
        if values is None:
            return
        parts.memory.count_step(self._ladder.rung)
        seconds = time.perf_counter() - begun
        means.add(values, seconds, rate=rate)
        if parts.threads is not None:
            parts.threads.apply(seconds)
        self._reporter.report_step(
            values,
            rate=rate,
            steps_per_second=means.steps_per_second,
            progress=self._progress(),
        )

    def _score_epoch(self, *, is_whole: bool) -> None:
        scoring = self._parts.scoring
        if scoring is None:
            self._parts.checkpoints.save_best()  # nothing can say that older ones are better
        elif self._parts.steering.is_stopping:
            return
        elif self._is_over() or (is_whole and scoring.may_validate()):
            self._validate(scoring)

    def _validate(self, scoring: Scoring) -> None:
        """Score the averaged weights, unless a person stops the run meanwhile."""
        with self._stoppable(), when_out_of_memory(self._go_on_unscored):
            scoring.validate(
                self._parts.learner.average.network,
                is_warming_up=self._parts.schedule.is_warming_up(
                    self._bounds(), self._state.step, self._state.elapsed_seconds()
                ),
            )

    def _go_on_unscored(self) -> None:
        """Keep the newest weights where there is not the memory to score any."""
        self._warn_of_memory("The validation data could not be scored")
        if not self._state.best:
            with when_out_of_memory(lambda: None):
                self._parts.checkpoints.save_best()

    def _warn_of_memory(self, what: str) -> None:
        """Warn once of what could not be done."""
        if what not in self._memory_troubles:
            self._memory_troubles.add(what)
            self._reporter.warn(f"{what}: there is not enough memory. Training is not ended by it.")

    def _save_last(self) -> None:
        """Have ``last.pt`` written, as things are between two steps."""
        parts = self._parts
        parts.steering.is_saving = False
        self._saved_step = self._state.step
        self._save_due = time.monotonic() + 60 * self._training.save_minutes
        stroke_start = parts.stroke_start
        with when_out_of_memory(lambda: self._warn_of_memory("last.pt could not be saved")):
            parts.checkpoints.save_last(
                self._settings_in_use(),
                self._means,
                parts.loader.tally_as_dict(),
                parts.schedule.turn,
                None if stroke_start is None else stroke_start.as_dict(),
            )

    def _settings_in_use(self) -> KeptSettings:
        steering, shown = self._parts.steering, self._parts.previewer.as_command()
        window = self._parts.limit.window
        settings = KeptSettings.of(self._parts.experiment)
        return replace(
            settings,
            loss_weights=dict(steering.loss_weights),
            max_epochs=steering.max_epochs,
            max_minutes=steering.max_minutes,
            rate_scale=steering.rate_scale,
            # Who stops a run does not want to find it waiting when it is resumed.
            is_paused=steering.is_waiting(),
            foreground_shares=[list(each) for each in self._parts.loader.foreground_shares],
            preview_image=shown.image,
            preview_center=None if shown.center is None else list(shown.center),
            preview_size=list(shown.size or settings.preview_size),
            preview_seconds=shown.seconds or 0.0,
            patch_size=list(self._ladder.rung.patch_size),
            patches_at_once=self._patches_at_once(),
            largest_window=None if window is None else list(window),
        )

    def _patches_at_once(self) -> int:
        """Return what fits at once; where all that this process has do, those of all processes."""
        count = self._ladder.rung.patches_at_once
        is_all = count >= self._parts.loader.num_patches
        return self._training.train_batch_size if is_all else count

    def _save_if_due(self) -> None:
        """Report what was saved, and save again if it is time and the disk has kept up."""
        checkpoints = self._parts.checkpoints
        checkpoints.report_saves()
        if time.monotonic() >= self._save_due and not checkpoints.is_writing:
            self._save_last()

    def _save_before_failing(self) -> None:
        """Keep the steps that were taken; what goes wrong here must not hide why training ends."""
        if self._state.step == self._saved_step or not self._parts.learner.is_whole:
            return
        with contextlib.suppress(Exception):
            self._save_last()
            self._parts.checkpoints.finish_saves()

    def _write_preview(self) -> None:
        no_memory = when_out_of_memory(lambda: self._warn_of_preview(NO_MEMORY_FOR_PREVIEW))
        with self._stoppable(), no_memory:
            self._write_preview_now()

    def _write_preview_now(self) -> None:
        stroke_start, state = self._parts.stroke_start, self._state
        share = 0.0 if stroke_start is None else stroke_start.share(state.step)
        try:
            event = self._parts.previewer.write(
                self._parts.learner.average.network,
                threshold=state.threshold,
                epoch=state.epoch,
                leading=(stroke_start, share) if stroke_start is not None and share > 0 else None,
            )
        except UNWRITABLE as error:
            self._warn_of_preview(f"The live preview could not be made: {error}")
            return
        self._warn_of_preview("")
        state.num_previews = event.index + 1
        self._reporter.report(event)

    def _warn_of_preview(self, message: str) -> None:
        """Warn when previews begin to fail, not at each of them; an empty message: they do not."""
        if message and not self._preview_trouble:
            self._reporter.warn(message)
        self._preview_trouble = message

    def _finish(self) -> None:
        scoring = self._parts.scoring
        if scoring is not None and not self._parts.steering.is_stopping:
            self._score_last(scoring)
        is_stopped = self._parts.steering.is_stopping
        if not is_stopped:
            if scoring is not None:
                self._tune(scoring.validator)
            if self._parts.previewer.is_on and not self._parts.steering.is_stopping:
                self._write_preview()
        if is_stopped:
            self._save_last()
        if scoring is not None:
            self._write_samples(scoring, is_stopped=is_stopped)
        self._parts.checkpoints.finish_saves()
        if is_stopped and self._parts.lead is not None:
            # Whoever started the processes stops all of them where one of them ends.
            self._parts.lead.check()
        self._reporter.report_end(is_stopped=is_stopped)

    def _write_samples(self, scoring: Scoring, *, is_stopped: bool) -> None:
        """Write what the report shows: as much as takes no time, of a run that was stopped."""
        until = time.monotonic() + (STOPPED_SECONDS if is_stopped else math.inf)
        what = "The samples of the report could not be made"
        try:
            with (
                self._stoppable(),
                listening(lambda: time.monotonic() > until),
                when_out_of_memory(lambda: self._warn_of_memory(what)),
            ):
                scoring.write_samples(self._plan.folders.samples)
        except UNWRITABLE as error:
            self._reporter.warn(f"{what}: {error}")

    def _score_last(self, scoring: Scoring) -> None:
        """Score the last weights, where the end came before it was their turn."""
        if self._state.validated_step < self._state.step:
            self._validate(scoring)
            self._save_last()

    def _tune(self, validator: Validator) -> None:
        share = self._training.tuning_share
        best = self._plan.folders.best
        if share == 0:
            return
        self._parts.checkpoints.wait()
        if not best.exists():
            return

        def is_stopped() -> bool:
            if is_stop_wanted():  # it ends what asks further in as well
                return True
            self._apply_commands()
            return self._parts.steering.is_stopping

        try:
            self._parts.checkpoints.finish_saves()  # best.pt is read, and written again
            with self._stoppable(), when_out_of_memory(lambda: self._warn_of_memory(UNTUNED)):
                tune_checkpoint(
                    best,
                    validator,
                    self._parts.data.train,
                    goal=self._parts.experiment.postprocess.goal,
                    report=self._reporter.report,
                    is_stopped=is_stopped,
                    max_seconds=share * self._state.elapsed_seconds(),
                )
        except OutputError as error:
            self._reporter.warn(f"{error} The post-processing is not kept; best.pt is as it was.")

    # -- commands and time ---------------------------------------------------------------

    def _wait_for_commands(self) -> None:
        """Apply what watchers asked for; while paused, wait here."""
        self._state.count_time()
        self._apply_commands()
        steering = self._parts.steering
        if not steering.is_waiting():
            return
        self._reporter.report(events.RunPaused())
        self._save_last()  # a pause may last until the machine is restarted
        while steering.is_waiting():
            if self._parts.previewer.is_due():
                self._write_preview()
            time.sleep(PAUSE_SECONDS)
            self._save_if_due()
            self._state.skip_time()  # a pause is no running time
            self._apply_commands()
        self._state.skip_time()
        if not steering.is_stopping:
            self._reporter.report(events.RunResumed())

    def _apply_commands(self) -> None:
        for command in self._poll_commands():
            with listening(self._poll_commands.is_stopped):  # strokes may take long
                answer = self._parts.steering.apply(command)
            self._reporter.report(answer)
            if isinstance(command, LASTING):
                self._save_due = min(self._save_due, time.monotonic() + CHANGED_SECONDS)
        if self._parts.steering.is_saving:
            self._save_last()
            if self._parts.steering.is_waiting():  # nothing else is to be done meanwhile
                self._parts.checkpoints.wait()
                self._parts.checkpoints.report_saves()

    def _progress(self) -> float:
        return self._state.progress(self._bounds())

    def _bounds(self) -> Bounds:
        steering = self._parts.steering
        return Bounds.of(
            steering.max_epochs,
            steering.max_minutes,
            self._training.train_iterations_per_epoch,
        )

    def _is_over(self) -> bool:
        if self._parts.steering.is_stopping or self._progress() >= 1:
            return True
        patience = self._training.early_stopping
        return patience is not None and self._state.stale_validations >= patience
