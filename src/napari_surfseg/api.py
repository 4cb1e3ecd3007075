"""The package for notebooks and scripts: what ``import napari_surfseg as surfseg`` gives.

Thin on purpose: every function does what the command of the same name does, with the same run
folder, so that a run begun here can be watched in napari and the other way round. PyTorch is
imported by what trains or predicts, and by nothing else.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides, build_experiment, resolve_paths
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume, Volume
from napari_surfseg.errors import CheckpointError
from napari_surfseg.events import read_events
from napari_surfseg.networks.registry import find_network
from napari_surfseg.runs.checkpoints import find_checkpoint, find_trained, read_checkpoints
from napari_surfseg.runs.folder import RunFolder, RunState, find_experiment, find_new_run_path
from napari_surfseg.runs.follow import read_state
from napari_surfseg.sharing.settings import DEFAULT_LICENCE, ShareSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_surfseg.events import Event
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.runs.checkpoint_summary import CheckpointSummary
    from napari_surfseg.runs.history import RunHistory

__all__ = [
    "Run",
    "VolumeLike",
    "evaluate",
    "export",
    "load_experiment",
    "open_run",
    "open_volume",
    "predict",
    "train",
]

#: An array, an open volume, or the path or URL of one.
VolumeLike: TypeAlias = "NDArray[Any] | Volume | str | Path"


def load_experiment(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Experiment:
    """Load an experiment.

    Parameters
    ----------
    source : str, Path or mapping
        A YAML file, the name of a preset, a run folder, or the values themselves, as they would
        stand in the YAML file.
    overrides : sequence of str
        Changed settings, such as ``"training.max_minutes=2"``.

    Returns
    -------
    Experiment
        Complete, checked and frozen; paths are absolute.

    Raises
    ------
    ConfigError
        If there is no such file or preset, or a value is not allowed.
    """
    if isinstance(source, str | Path):
        experiment, _ = find_experiment(source)
    else:
        experiment = resolve_paths(build_experiment(dict(source)), Path.cwd())
    if overrides:
        experiment = resolve_paths(apply_overrides(experiment, list(overrides)), Path.cwd())
    return experiment


def train(
    experiment: Experiment | str | Path | Mapping[str, Any],
    run_dir: str | Path | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    background: bool = False,
    on_event: Callable[[Event], object] | None = None,
) -> Run:
    """Train a network to the end of its budget, or start a worker that does.

    Parameters
    ----------
    experiment : Experiment, str, Path or mapping
        What :func:`load_experiment` takes or returns.
    run_dir : path-like, optional
        Folder of the run; by default a new one, ``runs/NAME``. With ``resume`` it holds the run.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    resume : bool
        Go on from the run's last checkpoint.
    background : bool
        Train in a process of its own, which outlives this one, and return at once. Otherwise
        this call returns when training has ended; interrupting it stops the run within seconds.
    on_event : callable, optional
        Given every event of the run as it happens; not with ``background`` (there, look at
        :attr:`Run.history` from time to time). If it raises, it is left out from then on, with a
        warning, and training goes on.

    Returns
    -------
    Run

    Raises
    ------
    ConfigError, DataError
        If the experiment or its volumes do not fit.
    RunError
        If the folder is taken, holds nothing to resume, or training could not go on.
    """
    if not isinstance(experiment, Experiment):
        experiment = load_experiment(experiment)
    if background and on_event is not None:
        raise ValueError("on_event needs the run in this process; leave out background")
    folder = RunFolder(run_dir or find_new_run_path(experiment.experiment.name))
    if not resume:
        folder.create(experiment)
    if background:
        from napari_surfseg.runs.launch import launch_worker

        if resume:
            folder.write_experiment(experiment)
        launch_worker(folder.path, device=device, resume=resume)
    else:
        from napari_surfseg.runs.worker.worker import run_training

        run_training(
            folder.path,
            device=device,
            resume=resume,
            experiment=experiment,
            console=None if on_event is None else _Listener(on_event),
        )
    return Run(folder.path)


def open_run(run_dir: str | Path) -> Run:
    """Open the folder of a run, finished or not.

    Raises
    ------
    RunError
        If it holds no run.
    """
    RunFolder(run_dir).require_run()
    return Run(run_dir)


class Run:
    """One run, read from its folder; every property reads the folder again.

    Parameters
    ----------
    path : path-like
        The run folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = RunFolder(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.state.value})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def state(self) -> RunState:
        """What the run is doing now."""
        return read_state(self.path)

    @property
    def experiment(self) -> Experiment:
        """Its configuration."""
        return self.folder.read_experiment()

    @property
    def events(self) -> list[Event]:
        """Everything that happened, in order."""
        return read_events(self.folder.events_path)

    @property
    def history(self) -> RunHistory:
        """Losses, scores and endings, with resumptions joined.

        ``history.step_values("total")`` and ``history.metric_values("surface_dice")`` give a
        curve as a pair of arrays, epochs and values.
        """
        from napari_surfseg.runs.history import read_history

        return read_history(self.path)

    @property
    def checkpoints(self) -> dict[str, CheckpointSummary]:
        """The summaries of ``best`` and ``newest``, as far as there are such checkpoints."""
        try:
            found = read_checkpoints(self.path)
        except CheckpointError:
            return {}
        pairs = {"best": found.best, "newest": found.newest}
        return {name: summary for name, summary in pairs.items() if summary is not None}

    @property
    def best(self) -> Path:
        """The checkpoint to predict with: ``best.pt``, or ``last.pt`` where there is no other.

        Raises
        ------
        CheckpointError
            If nothing was saved yet.
        """
        return find_checkpoint(self.path)

    def write_report(self) -> Path:
        """Write ``report.md`` as the run stands now, and return its path."""
        from napari_surfseg.runs.report.page import write_report

        return write_report(self.path)


def predict(
    volume: VolumeLike,
    checkpoint: str | Path | Run | None = None,
    output: str | Path | None = None,
    *,
    probabilities: bool = False,
    threshold: float | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8] | Volume:
    """Find surfaces in a volume with a trained network.

    Parameters
    ----------
    volume : array, Volume, str or Path
        Z, Y, X; of any size where it lies on disk.
    checkpoint : path-like or Run, optional
        ``best.pt``, ``last.pt``, a run, which means its ``best.pt``, or the name of a network
        that comes with the package; by default the first of those.
    output : path-like, optional
        ``.zarr`` or ``.tif``: the result is written there, piece by piece, with the shape,
        spacing and place of the volume. Without it the result is an array in memory.
    probabilities : bool
        Give probabilities, 0 to 255, instead of 0 and 1.
    threshold : float, optional
        Probability above which a voxel is surface; by default the checkpoint's, with the
        post-processing that was chosen for it.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    overwrite : bool
        Replace an existing ``output``.
    progress : callable, optional
        Given how many windows are done, and of how many.

    Returns
    -------
    numpy.ndarray or Volume
        ``uint8``, of the volume's shape: an array, or where ``output`` is given that file, opened.

    Raises
    ------
    DataError, CheckpointError
        If the volume or the checkpoint cannot be read.
    OutputError
        If ``output`` is there already or cannot be written.
    """
    opened = _as_volume(volume, "the image")
    if checkpoint is None:
        source: str | Path = find_network().name
    else:
        source = find_trained(checkpoint.path if isinstance(checkpoint, Run) else checkpoint)

    from napari_surfseg.device import choose_device
    from napari_surfseg.inference.predict_volume import predict_volume
    from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
    from napari_surfseg.model.open_network import open_network

    trained = open_network(source)
    wanted = trained.experiment.inference

    def predict_to(target: Path) -> Volume:
        summary = predict_volume(
            opened,
            trained,
            target,
            replace(
                PredictionSettings.from_checkpoint(trained),
                device=choose_device(device),
                overlap=wanted.overlap,
                flips=wanted.flips,
                fit=wanted.intensity,
            ),
            output_settings=OutputSettings(
                threshold=threshold, probabilities=probabilities, overwrite=overwrite
            ),
            progress=progress,
        )
        for warning in (*summary.notes, *summary.warnings):
            warnings.warn(warning, stacklevel=3)
        return open_volume(target)

    if output is not None:
        return predict_to(Path(output))
    with tempfile.TemporaryDirectory(prefix="surfseg_") as folder:
        written = predict_to(Path(folder) / "prediction.zarr")
        return np.asarray(written.read((0, 0, 0), written.shape), dtype=np.uint8)


def export(
    source: str | Path | Run,
    output: str | Path,
    *,
    title: str | None = None,
    authors: Sequence[str] = (),
    licence: str = DEFAULT_LICENCE,
    overwrite: bool = False,
) -> Path:
    """Write a trained network for other programs; what ``surfseg export`` does.

    Parameters
    ----------
    source : path-like or Run
        As the ``checkpoint`` of :func:`predict`.
    output : path-like
        ``.onnx`` makes an ONNX file, ``.zip`` a package for bioimage.io, any other name a folder
        that is a MONAI bundle.
    title : str, optional
        By default the name of the experiment.
    authors : sequence of str
        Who trained it.
    licence : str
        SPDX identifier of the weights' licence.
    overwrite : bool
        Replace an existing ``output``.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    CheckpointError
        If the network cannot be read.
    OutputError
        If ``output`` is there already or cannot be written, or a library of the extra ``share``
        is not installed.
    """
    from napari_surfseg.sharing.export import export_network

    return export_network(
        find_trained(source.path if isinstance(source, Run) else source),
        output,
        settings=ShareSettings(
            title=title, authors=tuple(authors), licence=licence, overwrite=overwrite
        ),
    )


def evaluate(
    pred: VolumeLike,
    labels: VolumeLike,
    *,
    spacing: Spacing3 | None = None,
    tolerance: float = 2.0,
    foreground: Sequence[int] | None = None,
    ignore: Sequence[int] = (2,),
    threshold: float | None = None,
    instances: int | None = None,
) -> dict[str, float]:
    """Score a prediction against labels.

    Parameters
    ----------
    pred, labels : array, Volume, str or Path
        Of one shape, Z, Y, X. Every non-zero voxel of ``pred`` is surface.
    spacing : tuple of float, optional
        Voxel size; by default 1, 1, 1, so that distances are in voxels.
    tolerance : float
        Of ``surface_dice``, ``precision`` and ``recall``, in the units of ``spacing``.
    foreground : sequence of int, optional
        Label values that are surface; by default every other than 0 and ``ignore``.
    ignore : sequence of int
        Label values that are not scored.
    threshold : float, optional
        ``pred`` holds probabilities, 0 to 255 or 0 to 1; surface is above it.
    instances : int, optional
        Each label value is an object; surface is the boundaries between them, so thick.

    Returns
    -------
    dict of str to float
        As ``surfseg evaluate --json`` prints them: ``surface_dice``, ``voi_score``, ``dice``, ...

    Raises
    ------
    DataError
        If the shapes differ, or there are NaN.
    """
    from napari_surfseg.inference.evaluate_volume import EvaluationSettings, evaluate_volume

    settings = EvaluationSettings(
        spacing=spacing or (1.0, 1.0, 1.0),
        tolerance=tolerance,
        foreground=None if foreground is None else tuple(foreground),
        ignore=tuple(ignore),
        threshold=threshold,
        instances=instances,
    )
    found = evaluate_volume(
        _as_volume(pred, "the prediction"), _as_volume(labels, "the labels"), settings
    )
    for warning in found.warnings:
        warnings.warn(warning, stacklevel=2)
    return found.scores


def _as_volume(volume: VolumeLike, name: str) -> Volume:
    if isinstance(volume, Volume):
        return volume
    if isinstance(volume, str | Path):
        return open_volume(volume)
    array = np.asarray(volume)
    return ArrayVolume(array, name=name)


class _Listener:
    """Hands a run's events on to a function; its log lines are in ``train.log``.

    A mistake in that function does not end the training: it is reported once, and the function
    left out from then on.
    """

    def __init__(self, on_event: Callable[[Event], object]) -> None:
        self._on_event: Callable[[Event], object] | None = on_event

    def show_line(self, text: str) -> None:
        """Leave the line to the log."""

    def show_event(self, event: Event) -> None:
        """Hand the event on."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - anything a caller's function may raise
            self._on_event = None
            warnings.warn(
                f"on_event failed at {type(event).__name__} with {type(error).__name__}: {error}; "
                "training goes on without it.",
                stacklevel=2,
            )
