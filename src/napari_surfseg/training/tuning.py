"""Choose the post-processing of ``best.pt`` on the validation data, at the end of a run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg.data.labels import IGNORE
from napari_surfseg.errors import CancelledError
from napari_surfseg.events import PostprocessTuned, TuningProgressed
from napari_surfseg.inference.postprocess_tuning import TuningData, list_steps, tune_postprocess
from napari_surfseg.model.checkpoint import load_checkpoint, save_checkpoint
from napari_surfseg.model.stop_checks import check_between_layers
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.training.threshold import choose_threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.events import Event
    from napari_surfseg.inference.postprocess_tuning import Goal
    from napari_surfseg.training.validation import Validator

__all__ = ["PREDICTING", "TuningProgress", "tune_checkpoint"]

#: The first stage, before any setting is tried.
PREDICTING = "predicting the validation data"
#: A person sees no more than this, and every event is a line of a file.
REPORT_SECONDS = 0.25


def tune_checkpoint(
    path: Path,
    validator: Validator,
    train: Sequence[CheckedPair],
    *,
    goal: Goal = "score",
    report: Callable[[Event], None],
    is_stopped: Callable[[], bool],
    max_seconds: float,
) -> None:
    """Choose the clean-up that a checkpoint will be used with, and write it into the file.

    The search begins at the threshold of the greatest Dice on the validation data and as much of
    the training data, which is worth more on other data than one half
    (``benchmarks/results/quality.md``). Nothing changes where the labels are strokes, which say
    nothing about the shape of a surface, or where data or time are too few to say anything.

    Parameters
    ----------
    path : Path
        The checkpoint.
    validator : Validator
        Its regions are what the settings are tried on.
    train : sequence of CheckedPair
        Of as many of their voxels, which may object to a setting.
    goal : str
        The score that the search raises.
    report : callable
        Takes the events: progress, and what was chosen.
    is_stopped : callable
        Asked again and again; if it says yes, or work should end, the best settings so far are
        used.
    max_seconds : float
        Time the search may take, once the data are predicted: in a short run that alone could take
        all of it, and nothing would be tried.
    """
    if validator.is_sparse():
        return
    begun = time.perf_counter()
    fixed = validator.fixed_threshold
    progress = TuningProgress(report, with_threshold=fixed is None)
    progress.begin()
    checkpoint = load_checkpoint(path)
    network = check_between_layers(checkpoint.build_model(validator.device))
    training = validator.over(train, max_voxels=validator.num_voxels)
    try:
        seen = training.predict_as_volumes(network, is_stopped)
        probabilities = validator.predict_as_volumes(network, is_stopped)
        labels, seen_labels = validator.read_all_labels(), training.read_all_labels()
        # Both: a slab alone says less about other places, and a short training learns nothing
        # by heart.
        plain = choose_threshold(
            [*probabilities, *seen], [*labels, *seen_labels], fixed=fixed, is_sparse=False
        )
        until = time.perf_counter() + max_seconds
        settings, history = tune_postprocess(
            TuningData(probabilities, labels, IGNORE),
            start=PostProcess(threshold=plain),
            measure=validator.measure,
            training_sample=TuningData(seen, seen_labels, IGNORE),
            goal=goal,
            with_threshold=fixed is None,
            progress=progress,
            should_stop=lambda: is_stopped() or time.perf_counter() > until,
        )
    except CancelledError:
        return
    if len(history) == 1:  # nothing could be tried
        return
    save_checkpoint(path, replace(checkpoint, postprocess=settings.as_dict()))
    report(
        PostprocessTuned(
            settings=settings.as_dict(),
            goal=goal,
            score_before=history[0].score,
            score_after=[step.score for step in history if step.kept][-1],
            steps=[
                {"name": step.name, "score": step.score, "gain": step.gain, "kept": step.kept}
                for step in history
            ],
            seconds=time.perf_counter() - begun,
        )
    )


class TuningProgress:
    """Reports each stage that begins, and now and then what is tried in it.

    Parameters
    ----------
    report : callable
        Takes the events.
    with_threshold : bool
        As for ``tune_postprocess``: whether the threshold may move.
    """

    def __init__(self, report: Callable[[TuningProgressed], None], *, with_threshold: bool) -> None:
        self._report = report
        self._stages = [PREDICTING, *list_steps(with_threshold)]
        self._stage = 0
        self._reported = float("-inf")

    def begin(self) -> None:
        """Report that the first stage begins."""
        self(0, 1, PREDICTING)

    def __call__(self, done: int, total: int, name: str) -> None:
        """Report how many settings were tried and what is tried now: the search calls this."""
        # "start" and "done" are no steps of the search: they belong to the first and the last one.
        stage = self._stages.index(name) + 1 if name in self._stages else max(self._stage, 2)
        now = time.perf_counter()
        is_new = stage != self._stage or done in (0, total)
        if not is_new and now - self._reported < REPORT_SECONDS:
            return
        self._stage, self._reported = stage, now
        self._report(
            TuningProgressed(
                done=done,
                total=total,
                name=self._stages[stage - 1],
                stage=stage,
                num_stages=len(self._stages),
            )
        )
