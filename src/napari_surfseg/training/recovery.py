"""A loss that is not finite: the step is skipped, or an earlier state restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import NonFiniteLossError
from napari_surfseg.training.host_copy import copy_to_host
from napari_surfseg.wording import format_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_surfseg.data.patches.loader import Batch
    from napari_surfseg.training.learner import Learner
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.state import TrainingState
    from napari_surfseg.training.steering import Steering

__all__ = ["StepRecovery"]

#: So many steps in a row without a finite loss are no matter of single patches any more.
MOST_IN_ROW = 3
#: Steps with a finite loss between two copies of the state.
STEPS_BETWEEN = 100


class StepRecovery:
    """Takes the steps of a run, and takes back what led to a loss that is not finite.

    One step is skipped: its patch may hold what the precision cannot. After
    :data:`MOST_IN_ROW` in a row the weights themselves are suspected: the state of at most
    :data:`STEPS_BETWEEN` steps ago is restored, and goes on at half the learning rate. Where
    that leads to the same before another copy was due, the error is raised.

    Parameters
    ----------
    learner : Learner
        Takes the steps.
    state : TrainingState
        Counts them, the skipped ones too, since their patches are used up.
    steering : Steering
        Its ``rate_scale`` is halved, so that watchers see it and a resumed run keeps it.
    reporter : Reporter
        Reports what was done.
    """

    def __init__(
        self, learner: Learner, state: TrainingState, steering: Steering, reporter: Reporter
    ) -> None:
        self._learner = learner
        self._state = state
        self._steering = steering
        self._reporter = reporter
        self._good: dict[str, Any] | None = None
        self._num_since = 0
        self._num_in_row = 0
        self._is_restored = False

    def take_step(self, batches: Iterator[Batch], rate: float) -> dict[str, float] | None:
        """Take one step; return its values, or None where it was skipped.

        Raises
        ------
        NonFiniteLossError
            If neither skipping nor restoring helped.
        """
        if self._good is None or self._num_since >= STEPS_BETWEEN:
            self._keep()
        try:
            values = self._learner.take_step(
                batches, self._steering.loss_weights, rate, self._state.step
            )
        except NonFiniteLossError as error:
            self._skip(error)
            return None
        self._num_in_row = 0
        self._num_since += 1
        return values

    def take_back(self) -> None:
        """Restore the newest copy of the state, of at most :data:`STEPS_BETWEEN` steps ago.

        For a step that ended while it changed the weights and cannot be made whole.
        """
        if self._good is not None:
            self._learner.restore(self._good["state"], self._good["averaged"])

    def _keep(self) -> None:
        learner = self._learner
        self._good = copy_to_host(
            {"state": learner.state(), "averaged": learner.average.network.state_dict()}
        )
        self._num_since = 0
        self._is_restored = False

    def _skip(self, error: NonFiniteLossError) -> None:
        state = self._state
        state.num_skipped += 1
        self._num_in_row += 1
        if self._num_in_row < MOST_IN_ROW:
            if str(state.num_skipped).strip("0") == "1":  # 1, 10, 100: many are no news
                self._reporter.warn(
                    f"Step {state.step + 1} was skipped because its loss was not finite "
                    f"({state.num_skipped} skipped so far); training continues with the next patch."
                )
            return
        if self._is_restored or self._good is None:
            raise error
        self.take_back()
        self._steering.rate_scale /= 2
        self._num_in_row = self._num_since = 0
        self._is_restored = True
        self._reporter.warn(
            f"The loss of {MOST_IN_ROW} steps in a row was not finite, so the weights of at most "
            f"{STEPS_BETWEEN} steps ago were restored; training continues at half the learning "
            f"rate ({format_number(self._steering.rate_scale)} of the scheduled one)."
        )
