"""Blocks predicted by the workers of a Dask cluster: in this computer, or of a lab's queue.

::

    this process ── numbers of blocks ──> scheduler ──> worker: one network, loaded once
         ^                                                  │
         └────── done ──────────────────────────────────────┤
    OUT.surfseg-prediction/  <── finished blocks ───────────┘   (a disk that all of them see)

Voxels never pass through the scheduler. A worker that is lost costs the block that it was at;
Dask hands it to another one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_surfseg.errors import OutputError, SurfsegError
from napari_surfseg.inference.predict_blocks import BlockWorker, settings_of
from napari_surfseg.inference.prediction_folder import PredictionFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_surfseg.geometry import Index3
    from napari_surfseg.inference.prediction_folder import PredictionPlan

__all__ = ["check_cluster", "predict_block", "predict_on_cluster"]

#: What dask-jobqueue calls the queues that a YAML may name as its ``type``.
QUEUES = {
    "slurm": "SLURMCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "pbs": "PBSCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
#: Blocks that are handed out beyond those that are being predicted, so that no worker waits.
AHEAD = 2
#: A block that failed is tried again so often, perhaps by another worker.
RETRIES = 2
CONNECT_SECONDS = 20

_workers: dict[tuple[str, str], BlockWorker] = {}
_lock = threading.Lock()


def check_cluster(text: str) -> None:
    """Refuse what names no cluster, before any work.

    Raises
    ------
    OutputError
        In one sentence.
    """
    _import_dask()
    if text.startswith("local:"):
        _read_count(text)
    elif "://" not in text:
        _read_yaml(Path(text))


def _import_dask() -> Any:
    try:
        return import_module("distributed")
    except ImportError:
        raise OutputError(
            "--cluster needs Dask; install it with: pip install 'napari-surfseg[cluster]'."
        ) from None


def predict_on_cluster(
    text: str,
    folder: PredictionFolder,
    plan: PredictionPlan,
    indices: Sequence[Index3],
    device: str,
    on_windows: Callable[[int, int], None] | None = None,
) -> None:
    """Predict blocks on a cluster.

    Parameters
    ----------
    text : str
        ``local:4``, the address of a scheduler, or a YAML file of a queue.
    folder : PredictionFolder
        On a disk that every worker sees under the same path.
    plan : PredictionPlan
        Of that folder.
    indices : sequence of tuple of int
        In this order.
    device : str
        ``cpu``, ``cuda``, or ``auto`` for a GPU where a worker has one.
    on_windows : callable, optional
        Called with the numbers of windows done and skipped since the last call; it may raise
        to stop.

    Raises
    ------
    OutputError
        If there is no such cluster, or a block fails again and again.
    """
    left = iter(indices)
    with _connect(text) as (client, threads):
        path = str(folder.path.resolve())

        def submit(index: Index3) -> Any:
            key = f"surfseg-block-{'-'.join(map(str, index))}-{id(plan)}"
            return client.submit(
                predict_block, path, index, device, threads, key=key, retries=RETRIES, pure=False
            )

        running: dict[Any, Index3] = {}
        waiting = _import_dask().as_completed()

        def hand_out() -> None:
            wanted = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1) + AHEAD
            while len(running) < wanted and (index := next(left, None)) is not None:
                future = submit(index)
                running[future] = index
                waiting.add(future)

        try:
            hand_out()
            while running:
                future = next(waiting)
                index = running.pop(future)
                if future.status != "finished":
                    raise OutputError(_explain(index, future.exception()))
                if on_windows is not None:
                    on_windows(plan.blocks.count_windows(index), 0)
                hand_out()
        finally:
            client.cancel(list(running))


def _explain(index: Index3, error: BaseException | None) -> str:
    if type(error).__name__ == "KilledWorker":
        return (
            f"Several workers of the cluster ended while they predicted block {index}; perhaps "
            "their memory is too small. The same command goes on from the finished blocks."
        )
    said = " ".join(str(error).split()).rstrip(".")
    return f"Block {index} could not be predicted on the cluster: {said}."


def predict_block(folder: str, index: Index3, device: str, threads: int | None) -> None:
    """Predict one block; what a worker does.

    Parameters
    ----------
    folder : str
        Path of the prediction.
    index : tuple of int
        Which block.
    device : str
        As for :func:`predict_on_cluster`.
    threads : int, optional
        For the network on a CPU.
    """
    with _lock:  # one network, whatever threads the worker has
        try:
            _find_worker(folder, device, threads).predict([index])
        except SurfsegError as error:
            # Ours may carry what does not travel.
            raise RuntimeError(str(error)) from None


def _find_worker(folder: str, device: str, threads: int | None) -> BlockWorker:
    import torch

    from napari_surfseg.data.open import open_volume
    from napari_surfseg.device import choose_device
    from napari_surfseg.model.open_network import open_network

    place = PredictionFolder(Path(folder))
    plan = place.read_plan()
    if plan is None:
        raise OutputError(f"There is no prediction in {folder}; does this worker see that disk?")
    key = (folder, plan.as_text())
    if key not in _workers:
        _workers.clear()
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = _share_devices(choose_device(device))
        volume = open_volume(plan.image_source, spacing=plan.spacing)
        network = open_network(plan.network_source).build_model(chosen)
        _workers[key] = BlockWorker(place, plan, volume, network, settings_of(plan, chosen))
    return _workers[key]


def _share_devices(device: Any) -> Any:
    """Give workers on one computer a GPU each."""
    import torch

    if device.type != "cuda" or torch.cuda.device_count() < 2:
        return device
    with contextlib.suppress(ValueError, TypeError):
        return torch.device(
            "cuda", int(_import_dask().get_worker().name) % torch.cuda.device_count()
        )
    return device


@contextlib.contextmanager
def _connect(text: str) -> Iterator[tuple[Any, int | None]]:
    """Provide a client of the cluster, and the threads of each worker where that is ours to say."""
    dask = _import_dask()
    threads: int | None = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if "://" in text:
            try:
                client = dask.Client(text, timeout=CONNECT_SECONDS)
            except (OSError, ValueError, TimeoutError) as error:
                raise OutputError(
                    f"No Dask scheduler answers at {text} ({type(error).__name__})."
                ) from None
        elif text.startswith("local:"):
            count = _read_count(text)
            threads = max((os.cpu_count() or 1) // count, 1)
            cluster = dask.LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None
            )
            client = dask.Client(stack.enter_context(cluster))
        else:
            client = dask.Client(stack.enter_context(_start_queue(Path(text))))
        yield stack.enter_context(client), threads


def _start_queue(path: Path) -> Any:
    name, workers, values = _read_yaml(path)
    try:
        dask_jobqueue = import_module("dask_jobqueue")
    except ImportError:
        raise OutputError(
            f"{path} needs dask-jobqueue; install it with: pip install 'napari-surfseg[cluster]'."
        ) from None
    try:
        cluster = getattr(dask_jobqueue, QUEUES[name])(**values)
    except (TypeError, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise OutputError(f"The cluster in {path} is not understood by {name}: {said}.") from None
    cluster.scale(jobs=workers)
    return cluster


def _read_count(text: str) -> int:
    count = text.partition(":")[2]
    if not count.isdecimal() or int(count) < 1:
        raise OutputError(f"--cluster is {text!r}; give local:N with the number of processes.")
    return int(count)


def _read_yaml(path: Path) -> tuple[str, int, dict[str, Any]]:
    """Read the type of a queue, the number of workers, and what else it is to be given."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise OutputError(
            f"--cluster is {str(path)!r}; give local:N, the address of a Dask scheduler such as "
            "tcp://host:8786, or a YAML file of a queue."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise OutputError(f"The cluster in {path} is no YAML.") from None
    values = dict(values) if isinstance(values, dict) else {}
    name = str(values.pop("type", "")).lower()
    workers = values.pop("workers", None)
    if name not in QUEUES:
        raise OutputError(
            f"The cluster in {path} has the type {name or None!r}; it must be one of "
            f"{', '.join(QUEUES)}."
        )
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise OutputError(
            f"The cluster in {path} has workers: {workers!r}; it must be a whole number of at "
            "least 1."
        )
    return name, workers, values


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from logging that workers come and go."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
