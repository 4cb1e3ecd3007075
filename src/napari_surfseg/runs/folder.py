"""The run folder: where everything of one training run lies."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.config_files import (
    dump_experiment,
    load_experiment,
    load_preset,
    map_paths,
    preset_names,
    relate_paths,
)
from napari_surfseg.errors import ConfigError, RunError
from napari_surfseg.files import written_aside
from napari_surfseg.runs.launch_record import is_launched_worker, read_launch, to_here, to_there

if TYPE_CHECKING:
    from napari_surfseg.config import Experiment

__all__ = [
    "BEST_CHECKPOINT",
    "LAST_CHECKPOINT",
    "RunFolder",
    "RunState",
    "find_experiment",
    "find_new_run_path",
]

#: A file's name has at most 255 bytes, a path of Windows 260 characters.
MAX_NAME_BYTES = 100

BEST_CHECKPOINT, LAST_CHECKPOINT = "best.pt", "last.pt"


class RunState(Enum):
    """What a run is doing, as a watcher can know it from the folder."""

    NEW = "new"
    """Configured; no worker has taken it yet."""
    QUEUED = "queued"
    """Handed over to another machine, where its job has not begun."""
    STARTING = "starting"
    """A worker was launched and is loading its libraries or checking the volumes."""
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    VANISHED = "vanished"
    """The worker is gone and reported no end: it was killed, or its machine went down."""

    @property
    def is_active(self) -> bool:
        """Whether a worker is at work on it, or will be."""
        return self in {RunState.QUEUED, RunState.STARTING, RunState.RUNNING, RunState.PAUSED}


class RunFolder:
    """The files of one run, by name.

    Parameters
    ----------
    path : path-like
        The folder; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def config_path(self) -> Path:
        """The whole experiment, resolved."""
        return self.path / "config.yaml"

    @property
    def environment_path(self) -> Path:
        """Versions, device, git revision and label hashes of the last worker."""
        return self.path / "environment.json"

    @property
    def events_path(self) -> Path:
        """What happened; the worker appends, everyone reads."""
        return self.path / "events.jsonl"

    @property
    def commands_path(self) -> Path:
        """What is asked; watchers append, the worker reads."""
        return self.path / "commands.jsonl"

    @property
    def worker_path(self) -> Path:
        """The lock: who works here now."""
        return self.path / "worker.json"

    @property
    def log_path(self) -> Path:
        """The worker's output, for people to read."""
        return self.path / "train.log"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``last.pt`` and ``best.pt``."""
        return self.path / "checkpoints"

    @property
    def previews(self) -> Path:
        """Folder of live predictions and skeletons."""
        return self.path / "previews"

    @property
    def inputs(self) -> Path:
        """Volumes and labels that live in a viewer, copied for the worker."""
        return self.path / "inputs"

    @property
    def strokes(self) -> Path:
        """Strokes painted since the start, each until the worker has added it to its copy."""
        return self.inputs / "strokes"

    @property
    def phantom(self) -> Path:
        """Folder of the synthetic scroll, where the run makes its own data."""
        return self.path / "phantom"

    @property
    def report_path(self) -> Path:
        """The report, as Markdown."""
        return self.path / "report.md"

    @property
    def report_folder(self) -> Path:
        """Pictures of the report."""
        return self.path / "report"

    @property
    def samples(self) -> Path:
        """Pieces of validation data and their prediction, for the report's pictures.

        The trainer writes ``validation_{i}_image.npy`` (uint8),
        ``validation_{i}_labels.npy`` (uint8: 0 background, 1 surface, 2 ignore)
        and ``validation_{i}_probabilities.npy`` (uint8, 0..255), each (Z, Y, X)
        of one shape, at most about 64 x 256 x 256, and optionally
        ``validation_{i}.json`` with ``image`` (the volume's name), ``origin``
        and ``threshold``. The errors of the best epoch's topology lie beside them
        (:mod:`napari_surfseg.metrics.error_samples`).
        """
        return self.report_folder / "samples"

    @property
    def last_checkpoint(self) -> Path:
        """Weights and optimizer of the last save; what resuming starts from."""
        return self.checkpoints / LAST_CHECKPOINT

    @property
    def best_checkpoint(self) -> Path:
        """The weights that scored best on the validation data."""
        return self.checkpoints / BEST_CHECKPOINT

    @property
    def names_before_start(self) -> set[str]:
        """Names of all that lies in the folder of a run before its first step."""
        files = (self.config_path, self.environment_path, self.events_path, self.commands_path)
        more = (self.worker_path, self.log_path, self.checkpoints, self.previews, self.phantom)
        of_a_job = {"launch.json", "launch_paths.json", "launch.sh", "launch.log"}
        return {path.name for path in (*files, *more)} | of_a_job

    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return self.config_path.is_file()

    def has_started(self) -> bool:
        """Whether a worker ever wrote an event here."""
        return self.events_path.exists() or self.last_checkpoint.exists()

    def check_new(self) -> None:
        """Refuse a place that holds a run or anything else already.

        Raises
        ------
        RunError
            Saying what is there.
        """
        try:
            self.path.exists()
        except OSError as error:  # a name too long
            raise self._refuse_name(error) from None
        if self.exists():
            raise RunError(
                f"{self.path} already holds a run; resume it or choose another folder.",
                field="run_dir",
            )
        if self.path.exists() and not self.path.is_dir():
            raise RunError(
                f"{self.path} is a file; a run needs a folder of its own.", field="run_dir"
            )
        try:
            is_empty = not self.path.exists() or not any(self.path.iterdir())
        except OSError as error:
            raise RunError(
                f"The folder {self.path} cannot be looked at: {error.strerror or error}.",
                field="run_dir",
            ) from None
        if not is_empty:
            raise RunError(
                f"The folder {self.path} is not empty and holds no run; a run needs a "
                "folder of its own.",
                field="run_dir",
            )

    def _refuse_name(self, error: Exception) -> RunError:
        reason = getattr(error, "strerror", None) or error
        return RunError(
            f"The run folder {_shorten(self.path)} cannot be made: {reason}.", field="run_dir"
        )

    def create(self, experiment: Experiment) -> RunFolder:
        """Make the folder and write its ``config.yaml``.

        Raises
        ------
        RunError
            As from :meth:`make`.
        OutputError
            If the configuration cannot be written.
        """
        self.make().write_experiment(experiment)
        return self

    def make(self) -> RunFolder:
        """Make the folder; without ``config.yaml`` it is no run yet, and nobody finds it.

        Raises
        ------
        RunError
            If the folder holds a run or anything else already, or cannot be made.
        """
        self.check_new()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise self._refuse_name(error) from None
        return self

    def require_run(self) -> None:
        """Refuse a folder without a ``config.yaml``.

        Raises
        ------
        RunError
            Saying whether the folder or only the file is missing.
        """
        if not self.path.exists():
            raise RunError(f"The run folder {self.path} does not exist.", field="run_dir")
        if not self.exists():
            raise RunError(
                f"{self.path} is not a run folder (it has no config.yaml).", field="run_dir"
            )

    def read_experiment(self) -> Experiment:
        """Read ``config.yaml``, its paths as this machine calls them.

        Raises
        ------
        RunError
            If the folder holds no run.
        ConfigError
            If its configuration was damaged.
        """
        self.require_run()
        record = None if is_launched_worker() else read_launch(self.path)
        if record is None:
            return load_experiment(self.config_path)
        return load_experiment(
            self.config_path, place=lambda source: to_here(source, record, self.path)
        )

    def write_experiment(self, experiment: Experiment) -> None:
        """Write or replace ``config.yaml``.

        What lies in the folder is named from there, so that a moved or copied folder goes on; of
        a run that is trained on another machine the rest is named as it is called there.
        """
        experiment = relate_paths(experiment, self.path)
        record = None if is_launched_worker() else read_launch(self.path)
        if record is not None:
            experiment = map_paths(experiment, lambda source: to_there(source, record))
        text = dump_experiment(experiment)
        with written_aside(self.config_path) as aside:
            aside.write_text(text, encoding="utf-8")


def _shorten(path: Path) -> str:
    text = str(path)
    return text if len(text) <= MAX_NAME_BYTES else f"{text[:MAX_NAME_BYTES]}…"


def find_new_run_path(name: str, parent: Path | None = None, suffix: str = "") -> Path:
    """Return a folder for a new run of this name that is not taken: ``runs/NAME``, ``NAME_2``, ...

    Parameters
    ----------
    name : str
        The experiment's name; characters that not every file system allows become ``_``.
    parent : Path, optional
        By default ``runs`` in the current folder.
    suffix : str
        Behind the name and the number.
    """
    parent = Path("runs") if parent is None else parent
    allowed = "".join(char if char.isalnum() or char in "-_." else "_" for char in name)
    short = allowed.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    stem = short.strip(".") or "run"
    number = 1
    while True:
        path = parent / f"{stem if number == 1 else f'{stem}_{number}'}{suffix}"
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return path
        number += 1


def find_experiment(source: str | Path) -> tuple[Experiment, Path | None]:
    """Read the experiment that a person names: a YAML file, a preset or a run folder.

    Returns
    -------
    tuple of Experiment, Path or None
        The experiment, and the file it came from (None for a preset).

    Raises
    ------
    RunError
        If a folder holds no run.
    ConfigError
        If there is no such file or preset, or its contents are not allowed.
    """
    path = Path(source)
    folder = RunFolder(path if path.is_dir() else path.parent)
    if path.is_dir() or (path == folder.config_path and read_launch(folder.path) is not None):
        return folder.read_experiment(), folder.config_path
    if not path.exists() and str(source) in preset_names():
        return load_preset(str(source)), None
    if not path.exists() and not path.suffix:
        raise ConfigError(
            f"There is no configuration file {source} and no preset of that name; the presets "
            f"are {', '.join(preset_names())}."
        )
    return load_experiment(path), path
