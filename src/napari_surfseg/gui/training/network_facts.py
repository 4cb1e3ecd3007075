"""Asks a process what a network is and needs that the window cannot know, and remembers it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.networks.registry import AUTO, FRESH
from napari_surfseg.runs.checkpoints import find_checkpoint
from napari_surfseg.training.network_process import NetworkJob

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.gui.background.threads import Job, Jobs

__all__ = ["NetworkFacts", "NetworkQuestions", "must_be_asked"]

#: A person types arguments, or holds an arrow of the patch size; one question is enough.
SETTLE_MILLISECONDS = 500


def must_be_asked(model: Model) -> bool:
    """Whether a network is MONAI's, or has the size of one that it starts from."""
    if model.preset == "monai":
        return True
    return model.preset == "auto" and model.start_from not in {AUTO, FRESH}


@dataclass(frozen=True)
class NetworkFacts:
    """What a network answered.

    Attributes
    ----------
    divisor : int
        By what the edges of a patch must be divisible.
    num_parameters : int
        Trainable numbers.
    step_bytes : int
        Memory of a training step.
    """

    divisor: int
    num_parameters: int
    step_bytes: int


class NetworkQuestions(QObject):
    """Answers from memory, or asks and says when there is an answer.

    Parameters
    ----------
    jobs : Jobs
        Starts the thread that waits for the process.
    """

    answered = Signal()

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self._jobs = jobs
        self._known: dict[str, NetworkFacts | ConfigError] = {}
        self._wanted: NetworkJob | None = None
        self._process: JobProcess | None = None
        self._settle = Debounce(self, SETTLE_MILLISECONDS, self._ask)

    def close(self) -> None:
        """Ask nothing any more."""
        self._settle.stop()
        if self._process is not None:
            self._process.cancel()

    def find(self, model: Model, patch_size: list[int], batch_size: int) -> NetworkFacts | None:
        """Return what is known of a network; None while it is asked, :attr:`answered` follows.

        Raises
        ------
        ConfigError
            What the network answered to arguments that it does not take, or why the one to start
            from cannot be read.
        """
        left_out = None if model.preset == "auto" else {"start_from"}
        values = model.model_dump(mode="json", exclude_none=True, exclude=left_out)
        job = NetworkJob(values, list(patch_size), batch_size)
        known = self._known.get(_key(job))
        if isinstance(known, ConfigError):
            raise ConfigError(str(known), field=known.field)
        if known is None and job != self._wanted:
            self._wanted = job
            self._settle.start()
        return known

    def _ask(self) -> None:
        job = self._wanted
        if job is None:
            return
        if self._process is not None:
            self._process.cancel()
        process = self._process = JobProcess(
            "napari_surfseg.training.network_process", "question to the network"
        )

        is_start = job.model["preset"] == "auto"

        def work(_job: Job) -> dict[str, Any]:
            asked = job
            if is_start:
                start = str(find_checkpoint(job.model["start_from"]))
                asked = replace(job, model=job.model | {"start_from": start})
            with tempfile.TemporaryDirectory(prefix="surfseg_network_") as folder:
                return process.run(write_job(Path(folder), asked))

        def done(result: dict[str, Any]) -> None:
            refused = result.get("refused")
            self._learn(
                job,
                NetworkFacts(**result)
                if refused is None
                else ConfigError(str(refused), field=result.get("field")),
            )

        def failed(error: SurfsegError) -> None:
            if not process.is_cancelled:
                field = "model.start_from" if is_start else "model.network"
                self._learn(job, ConfigError(str(error), field=field))

        self._jobs.start("network", work, done=done, failed=failed)

    def _learn(self, job: NetworkJob, answer: NetworkFacts | ConfigError) -> None:
        self._known[_key(job)] = answer
        if job == self._wanted:
            self._wanted = None
        self.answered.emit()


def _key(job: NetworkJob) -> str:
    return json.dumps([job.model, job.patch_size, job.batch_size], sort_keys=True)
