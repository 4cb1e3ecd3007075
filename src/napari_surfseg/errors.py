"""The errors a person can meet, each one sentence that says what to do.

::

    SurfsegError                 anything this package refuses; exit code 2
    ├── ConfigError              a setting: its dotted key, what was found, what is allowed
    ├── DataError                a volume or label file, named, with what was found in it
    │   ├── ChunkError           one piece of it is damaged; the others may be read
    │   └── LabelError           labels that cannot be trained on or scored
    ├── CheckpointError          a checkpoint that is damaged, foreign or does not fit
    ├── RunError                 a run folder that cannot be used as asked
    │   └── RunBusyError         another worker holds it
    ├── TrainingError            training cannot go on
    │   └── NonFiniteLossError   a loss term became NaN or infinite
    ├── OutputError              a result could not be written; nothing half-written is left
    ├── DeviceMemoryError        the network does not fit into the memory there is
    └── CancelledError           the person asked to stop before there was a result

The message names the file, layer or key, says what was found and what is
allowed, and ends with a full stop; ``str(error)`` is all that is shown of it.
``field`` says beside which setting, where the message is about one.
"""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "CheckpointError",
    "ChunkError",
    "ConfigError",
    "DataError",
    "DeviceMemoryError",
    "LabelError",
    "NonFiniteLossError",
    "OutputError",
    "RunBusyError",
    "RunError",
    "SurfsegError",
    "TrainingError",
]


class SurfsegError(Exception):
    """Something this package refuses, in one sentence.

    Parameters
    ----------
    message : str
        The sentence shown to the person.
    field : str, optional
        Dotted configuration key the sentence is about (``"data.patch_size"``),
        so that a window can show it beside the control that holds it.
    """

    exit_code = 2

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ConfigError(SurfsegError):
    """A setting that is missing, unknown or out of range."""


class DataError(SurfsegError):
    """A volume that cannot be opened, read or used."""


class ChunkError(DataError):
    """A chunk of a volume that cannot be read; what lies in others can be used."""


class LabelError(DataError):
    """Labels that cannot be trained on or scored."""


class CheckpointError(SurfsegError):
    """A checkpoint that is damaged, foreign or does not fit."""


class RunError(SurfsegError):
    """A run folder that cannot be used as asked."""


class RunBusyError(RunError):
    """Another worker holds the run folder."""


class TrainingError(SurfsegError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError):
    """A loss term became NaN or infinite."""


class OutputError(SurfsegError):
    """A result could not be written."""


class DeviceMemoryError(SurfsegError):
    """The network does not fit into the memory there is.

    Parameters
    ----------
    message, field
        As for every error of this package.
    window : tuple of int, optional
        Z, Y, X voxels that it was too small for.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        window: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.window = window


class CancelledError(SurfsegError):
    """The person asked to stop before there was a result."""
