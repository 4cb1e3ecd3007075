"""Why a run failed, as one sentence a person can act on, and the setting it is about."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

import yaml

from napari_surfseg.config_files import exists
from napari_surfseg.data.source import parse_source
from napari_surfseg.errors import RunError, SurfsegError
from napari_surfseg.out_of_memory import is_out_of_memory
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from napari_surfseg.config import Experiment
    from napari_surfseg.runs.folder import RunFolder

__all__ = ["explain_failure", "is_foreseen"]

#: A full disk and a used-up quota; the latter has no number on Windows.
DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
#: torch's zip writer hides the system's error behind this when a disk fills up.
TORCH_WRITE_WORDS = ("pytorchstreamwriter", "file write failed", "unexpected pos")


def is_foreseen(error: BaseException) -> bool:
    """Whether the sentence says it all, so that a traceback would only be noise."""
    return isinstance(error, SurfsegError) or is_out_of_memory(error) or _is_full(error)


def explain_failure(
    error: BaseException, folder: RunFolder, experiment: Experiment
) -> SurfsegError:
    """Return the error that says why a run failed, in one sentence and with its setting.

    That is the error itself where it is one of this package. Anything else becomes a
    ``RunError``, with exit code 1 where nothing in this package foresees it.
    """
    if isinstance(error, SurfsegError):
        return _explain_moved(error, folder, experiment) or error
    if is_out_of_memory(error):
        return RunError(
            f"There is not enough memory for patches of {format_size(experiment.data.patch_size)} "
            f"in batches of {experiment.training.train_batch_size} with the model "
            f"{experiment.model.title}; make data.patch_size or training.train_batch_size "
            "smaller, or choose a smaller model.preset.",
            field="data.patch_size",
        )
    if _is_full(error):
        return RunError(
            f"The disk that holds {folder.path} is full; free some space and resume the run."
        )
    if isinstance(error, OSError):
        what = error.filename or folder.path
        failure = RunError(f"{what} could not be read or written: {error.strerror or error}.")
    else:
        what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
        failure = RunError(
            f"Training failed unexpectedly with {what}; the traceback is in {folder.log_path}."
        )
    failure.exit_code = 1
    return failure


def _explain_moved(
    error: SurfsegError, folder: RunFolder, experiment: Experiment
) -> SurfsegError | None:
    """Add what helps where a run that was trained before does not find a volume; else None."""
    found = re.fullmatch(r"data\.(train|validation)\.(\d+)\.(image|labels)", error.field or "")
    if found is None or not folder.last_checkpoint.exists():
        return None
    role, number, what = found[1], int(found[2]), found[3]
    pairs = getattr(experiment.data, role)
    if not isinstance(pairs, tuple) or number >= len(pairs):
        return None
    if not _is_gone(getattr(pairs[number], what)):
        return None
    values = [pair.model_dump(mode="json", exclude_none=True) for pair in pairs]
    for value in values:  # what was moved is seldom one file
        for key in ("image", "labels"):
            if _is_gone(value[key]):
                value[key] = f"NEW_FOLDER/{parse_source(value[key]).name}"
    shown = yaml.safe_dump(values, default_flow_style=True, allow_unicode=True, width=10**6)
    run = f'"{folder.path}"' if " " in str(folder.path) else folder.path
    moved = type(error)(
        f"{str(error).rstrip('.')}; if it was moved, say where it is now: surfseg train "
        f'{run} --resume --set "data.{role}={shown.strip()}"',
        field=error.field,
    )
    moved.exit_code = error.exit_code
    return moved


def _is_gone(source: str) -> bool:
    place = parse_source(source)
    return not place.is_remote and not exists(place.path)


def _is_full(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in TORCH_WRITE_WORDS)
