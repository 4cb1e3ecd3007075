"""Events that a worker reports and commands sent to it, a frozen dataclass each, as JSON lines.

The worker appends :class:`Event` lines to ``events.jsonl``; watchers append
:class:`Command` lines to ``commands.jsonl``. Both files only grow. A reader
keeps its place in bytes (:class:`~.lines.LineReader`), takes whole lines only, skips
kinds it does not know (written by a newer version) and so can follow a run
over a shared disk while it is written.

Events are named in the past tense, commands in the imperative. The three
terminal events are :class:`RunCompleted`, :class:`RunStopped` and
:class:`RunFailed`; a run, and every resumption of it, ends in exactly one.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import math
import os
import time
import uuid
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from napari_surfseg.errors import RunError
from napari_surfseg.lines import PIECE_BYTES, LineReader, append_line

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.geometry import Index3, Size3

__all__ = [
    "STEP_LINE",
    "TERMINAL_EVENTS",
    "CheckpointSaved",
    "Command",
    "CommandApplied",
    "CommandRefused",
    "DataChecked",
    "EpochFinished",
    "Event",
    "EventWriter",
    "LabelsUpdated",
    "MemoryExceeded",
    "MemoryMeasured",
    "Pause",
    "PostprocessTuned",
    "PreviewWritten",
    "Resume",
    "RunCompleted",
    "RunFailed",
    "RunPaused",
    "RunResumed",
    "RunStarted",
    "RunStopped",
    "SaveNow",
    "SetLossWeights",
    "SetPreview",
    "SetTraining",
    "SpeedTried",
    "StepFinished",
    "StepThinner",
    "Stop",
    "TuningProgressed",
    "UpdateLabels",
    "ValidationFinished",
    "WarningIssued",
    "WeightsLoaded",
    "append_command",
    "parse_events",
    "read_commands",
    "read_events",
]

#: Most of a run's lines are steps, and they begin like this.
STEP_LINE = b'{"kind":"StepFinished"'
#: Of a longer file, as earlier versions wrote them, so many steps are passed over that what is
#: read of it is about half as long.
LONG_FILE_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in the worker.

    Attributes
    ----------
    seq : int
        Position in the file, from 0; set when it is written.
    time : float
        Seconds since the Unix epoch; set when it is written.
    step : int
        Optimizer steps finished when it happened.
    """

    kinds: ClassVar[dict[str, type[Event]]] = {}

    seq: int = -1
    time: float = 0.0
    step: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Event.kinds[cls.__name__] = cls


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A worker took the run folder and knows what it will do.

    ``max_epochs`` is None where only ``max_minutes`` bounds the run.
    """

    name: str
    device: str
    precision: str
    model: str
    num_parameters: int
    patch_size: Size3
    epoch: int
    max_epochs: int | None
    max_minutes: float | None
    iterations_per_epoch: int
    loss_weights: dict[str, float]
    resumed: bool = False


@dataclass(frozen=True, kw_only=True)
class DataChecked(Event):
    """The volumes were opened and checked; ``volumes`` has a row for each pair.

    A row holds ``image``, ``labels``, ``role`` (``train`` or ``validation``),
    ``shape``, ``spacing``, ``num_surface`` and ``num_background`` voxels,
    ``foreground_fraction`` and ``ignored_fraction``. ``notes`` are sentences on what
    was settled by looking at them: what is kept for validation, which flips and turns.
    """

    volumes: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class WeightsLoaded(Event):
    """The network begins with the weights of another one.

    Attributes
    ----------
    source : str
        The name of a network of the package, or a checkpoint.
    num_taken, num_parameters : int
        Parameters taken from it, and of the network.
    note : str
        A sentence on what did not fit; empty where all did.
    """

    source: str
    num_taken: int
    num_parameters: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class StepFinished(Event):
    """Optimizer steps were taken.

    Attributes
    ----------
    losses : dict
        Raw value of every term computed, of the full-resolution head.
    head_total : float
        Sum of weight times term, of the full-resolution head.
    total : float
        The number that was differentiated: all heads of deep supervision.
    elapsed_seconds : float
        Training time so far, pauses left out, over all resumptions.
    """

    epoch: int
    losses: dict[str, float]
    head_total: float
    total: float
    learning_rate: float
    gradient_norm: float
    steps_per_second: float
    elapsed_seconds: float
    progress: float


@dataclass(frozen=True, kw_only=True)
class EpochFinished(Event):
    """An epoch ended; the losses are means over its steps."""

    epoch: int
    losses: dict[str, float]
    head_total: float
    total: float
    learning_rate: float
    epoch_seconds: float
    steps_per_second: float
    elapsed_seconds: float
    patches: dict[str, Any]
    cache: dict[str, Any]
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class ValidationFinished(Event):
    """The averaged weights were scored on the validation data.

    Attributes
    ----------
    metrics : dict
        By the names of :mod:`napari_surfseg.metrics`, at ``threshold``. On strokes only
        those that are counted voxel by voxel: ``dice``, ``precision`` and ``recall``.
    num_annotated, num_surface : int
        Annotated voxels that were scored on, and those of surface among them.
    is_sparse : bool
        Whether they are strokes, between which nothing is known.
    scored_by : str
        The score by which ``is_best`` was decided.
    is_warming_up : bool
        The learning rate was still rising; the first validation after that is the best of all
        before it.
    volumes : list of dict
        Where several volumes were scored, a row each: ``image``, ``num_annotated`` and its
        ``metrics``.
    """

    epoch: int
    metrics: dict[str, float]
    threshold: float
    is_best: bool
    seconds: float
    num_annotated: int = 0
    num_surface: int = 0
    is_sparse: bool = False
    scored_by: str = "surface_dice"
    is_warming_up: bool = False
    volumes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TuningProgressed(Event):
    """Post-processing is being chosen: ``done`` of ``total`` settings, now those of ``name``.

    That is stage ``stage`` of ``num_stages``, from 1; in the first one the validation data
    are predicted, and no setting was tried yet. Files of earlier versions do not say (0).
    """

    done: int
    total: int
    name: str
    stage: int = 0
    num_stages: int = 0


@dataclass(frozen=True, kw_only=True)
class PostprocessTuned(Event):
    """The clean-up that ``best.pt`` will be used with was chosen on the validation data.

    Attributes
    ----------
    settings : dict
        Of :class:`surfaces.postprocess.PostProcess`.
    score_before, score_after : float
        The goal's, of the validation data, at a plain threshold and with the settings.
    steps : list of dict
        What was tried: ``name``, the validation data's ``score`` (the goal's) with it, the ``gain``
        on pieces of them that had no say in the choice, and whether it was ``kept``.
    seconds : float
        Time it took.
    goal : str
        The score that was raised.
    """

    settings: dict[str, Any]
    score_before: float
    score_after: float
    steps: list[dict[str, Any]]
    seconds: float
    goal: str = "score"


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint is in place; ``path`` is relative to the run folder."""

    path: str
    epoch: int


@dataclass(frozen=True, kw_only=True)
class PreviewWritten(Event):
    """A live prediction and its skeleton lie in the run folder.

    Attributes
    ----------
    index : int
        Counts previews of this run, from 0.
    probabilities, skeleton : str
        Paths relative to the run folder: npy, uint8. Probabilities 0..255,
        skeleton 0 and 1.
    image : str
        Which volume, as written in the configuration.
    origin : tuple of int
        Z, Y, X voxel of that volume at which the arrays begin.
    shape : tuple of int
        Shape of the arrays.
    places : str, optional
        Path of a table of the doubtful places that nobody has annotated, as
        :mod:`napari_surfseg.proofreading.places` writes it; made for some previews only.
    """

    index: int
    probabilities: str
    skeleton: str
    image: str
    origin: Index3
    shape: Size3
    epoch: int
    seconds: float
    places: str | None = None


@dataclass(frozen=True, kw_only=True)
class LabelsUpdated(Event):
    """Labels painted in a window are used from now on.

    Attributes
    ----------
    labels : str
        Which, as written in the configuration.
    num_changed : int
        Voxels that hold another value than before.
    volumes : list of dict
        Rows as in :class:`DataChecked`, of the pairs with these labels.
    """

    labels: str
    num_changed: int
    volumes: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class RunPaused(Event):
    """Training waits for ``Resume``."""


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event):
    """Training goes on after a pause."""


@dataclass(frozen=True, kw_only=True)
class CommandApplied(Event):
    """The command with this id took effect from this step on."""

    command_id: str
    command: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CommandRefused(Event):
    """The command with this id cannot be carried out; ``message`` says why."""

    command_id: str
    command: str
    message: str


@dataclass(frozen=True, kw_only=True)
class WarningIssued(Event):
    """Something a person should know that does not stop the run."""

    message: str


@dataclass(frozen=True, kw_only=True)
class MemoryExceeded(WarningIssued):
    """Memory ran out; the message says what is done with less of it from now on.

    Attributes
    ----------
    patch_size : tuple of int
        Z, Y, X voxels of a training patch from now on.
    patches_at_once : int
        Patches of a batch that go through the network together from now on.
    window : tuple of int, optional
        The largest window that validation and previews use, once one did not fit.
    """

    patch_size: Size3
    patches_at_once: int
    window: Size3 | None = None


@dataclass(frozen=True, kw_only=True)
class MemoryMeasured(Event):
    """What the first steps took of the memory that was estimated before them.

    Attributes
    ----------
    device : str
        Whose memory: ``cpu`` or ``cuda``.
    measured_bytes : int
        The most that lay in memory at once, besides what the process took before the run.
    estimated_bytes : int
        What was expected of that.
    """

    device: str
    measured_bytes: int
    estimated_bytes: int


@dataclass(frozen=True, kw_only=True)
class SpeedTried(Event):
    """Ways of computing were tried before the first step; the quickest is used.

    Attributes
    ----------
    chosen : str
        Its name.
    seconds : dict
        What a pass there and back took, by name.
    """

    chosen: str
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class RunCompleted(Event):
    """Training reached its end; the checkpoints hold the result."""

    epoch: int
    elapsed_seconds: float
    best: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class RunStopped(Event):
    """Training was stopped as asked; ``last.pt`` resumes it."""

    epoch: int
    elapsed_seconds: float
    best: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class RunFailed(Event):
    """Training could not go on.

    Attributes
    ----------
    message : str
        The sentence to show.
    field : str, optional
        Dotted configuration key the sentence is about, as :class:`SurfsegError` has it;
        files of earlier versions do not say.
    """

    message: str
    field: str | None = None


#: A run ends in exactly one of these.
TERMINAL_EVENTS = (RunCompleted, RunStopped, RunFailed)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something a watcher asks of the worker; ``id`` comes back in the answer."""

    kinds: ClassVar[dict[str, type[Command]]] = {}

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: float = field(default_factory=time.time)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Command.kinds[cls.__name__] = cls


@dataclass(frozen=True, kw_only=True)
class Stop(Command):
    """Drop what is under way, write ``last.pt``, end with :class:`RunStopped`."""


@dataclass(frozen=True, kw_only=True)
class Pause(Command):
    """Finish the step and wait."""


@dataclass(frozen=True, kw_only=True)
class Resume(Command):
    """Go on after :class:`Pause`."""


@dataclass(frozen=True, kw_only=True)
class SaveNow(Command):
    """Write ``last.pt`` after this step."""


@dataclass(frozen=True, kw_only=True)
class SetLossWeights(Command):
    """Use these weights from the next step on; terms left out keep theirs."""

    weights: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SetTraining(Command):
    """Change settings of a running training; None leaves one as it is."""

    max_epochs: int | None = None
    max_minutes: float | None = None
    learning_rate_scale: float | None = None
    foreground_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class SetPreview(Command):
    """Look at another place; None leaves a part as it is.

    ``center`` is the voxel (Z, Y, X) of ``image`` to look at.
    """

    image: str | None = None
    center: Index3 | None = None
    size: Size3 | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateLabels(Command):
    """Take painted boxes into labels that were copied into the run folder.

    Attributes
    ----------
    labels : str
        Which labels, as written in the configuration.
    strokes : str
        The boxes, as :mod:`napari_surfseg.data.strokes.stroke_files` writes them; a path relative
        to the run folder, in a folder beside the labels. The worker removes the file.
    """

    labels: str
    strokes: str


def _plain(value: Any) -> Any:
    """Make a value JSON can hold: JSON has no NaN, so a non-finite number becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _to_line(kind: str, message: Event | Command) -> bytes:
    values = {"kind": kind, **_plain(asdict(message))}
    return (json.dumps(values, allow_nan=False, separators=(",", ":")) + "\n").encode()


_MessageT = TypeVar("_MessageT", Event, Command)


def _from_line(line: bytes, base: type[_MessageT]) -> _MessageT | None:
    """Read one line; None for a damaged line or a kind this version does not know."""
    try:
        values = json.loads(line)
        cls = base.kinds[values.pop("kind")]
        known = _field_names(cls.__name__)
        if not known.issuperset(values):
            values = {key: value for key, value in values.items() if key in known}
        for key, value in values.items():
            if type(value) is list and _is_triple(value):
                values[key] = tuple(value)
        return cast("type[Any]", cls)(**values)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


@functools.cache
def _field_names(kind: str) -> frozenset[str]:
    cls: type[Event | Command] = Event.kinds.get(kind) or Command.kinds[kind]
    return frozenset(item.name for item in fields(cls))


def _is_triple(value: list[Any]) -> bool:
    return len(value) == 3 and all(isinstance(item, int) for item in value)


class EventWriter:
    """Append events to a file, numbering and dating them.

    Parameters
    ----------
    path : Path
        ``events.jsonl``; numbering goes on where an earlier worker left off. A
        half-written last line of a killed worker is cut off first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seq = 0
        if path.exists():
            with path.open("r+b") as file:
                end = 0
                while piece := file.read(PIECE_BYTES):
                    self._seq += piece.count(b"\n")
                    last = piece.rfind(b"\n")
                    end = file.tell() - len(piece) + last + 1 if last >= 0 else end
                if end != file.tell():
                    file.truncate(end)

    def write(self, event: Event, *, at: float | None = None) -> Event:
        """Append one event, which happened now or ``at`` a time, and return it as it was written.

        A line that only half fits on a full disk is taken back, so that a shorter
        one, which says that the disk is full, can still follow.
        """
        values = {item.name: getattr(event, item.name) for item in fields(event)}
        values.update(seq=self._seq, time=time.time() if at is None else at)
        stamped = type(event)(**values)
        line = _to_line(type(event).__name__, stamped)
        with self.path.open("ab", buffering=0) as file:
            begin = file.seek(0, 2)
            try:
                written = file.write(line)
                if written != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(begin)
                raise
        self._seq += 1
        return stamped


class StepThinner:
    """Passes over steps of a file that is too long to be kept in memory.

    Parameters
    ----------
    path : Path
        The file; of one of ordinary length every step is kept.
    """

    def __init__(self, path: Path) -> None:
        try:
            size = path.stat().st_size
        except OSError:
            size = 0
        self._stride = 1 if size <= LONG_FILE_BYTES else math.ceil(2 * size / LONG_FILE_BYTES)
        self._steps = 0

    def keep(self, line: bytes) -> bool:
        """Whether to take this line."""
        if self._stride == 1 or not line.startswith(STEP_LINE):
            return True
        self._steps += 1
        return self._steps % self._stride == 0


def read_events(source: Path | LineReader) -> list[Event]:
    """Return the events of a file, or those added since a reader's last call."""
    reader = source if isinstance(source, LineReader) else LineReader(source)
    return parse_events(reader.read_lines())


def parse_events(lines: list[bytes]) -> list[Event]:
    """Return the events of whole lines; damaged lines and unknown kinds are left out."""
    found = (_from_line(line, Event) for line in lines)
    return [event for event in found if event is not None]


def read_commands(source: Path | LineReader) -> list[Command]:
    """Return the commands of a file, or those added since a reader's last call."""
    reader = source if isinstance(source, LineReader) else LineReader(source)
    found = (_from_line(line, Command) for line in reader.read_lines())
    return [command for command in found if command is not None]


def append_command(path: Path, command: Command) -> str:
    """Append a command, as :func:`append_line` does, and return its id."""
    try:
        append_line(path, _to_line(type(command).__name__, command))
    except OSError as error:
        raise RunError(
            f"The command could not be written to {path}: {error.strerror or error}."
        ) from None
    return command.id
