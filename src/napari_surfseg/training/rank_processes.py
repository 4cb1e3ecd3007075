"""Where the processes that train together come from: ``torchrun``, or this process itself."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import torch
from torch.distributed import TCPStore, rendezvous  # type: ignore[attr-defined]

from napari_surfseg.device import choose_device
from napari_surfseg.errors import ConfigError
from napari_surfseg.training.rank_place import RankPlace, find_place, share_batch
from napari_surfseg.training.ranks import START_SECONDS, Ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.distributed import Store  # type: ignore[attr-defined]

    from napari_surfseg.config import Training

__all__ = ["choose_num_processes", "find_device", "find_store", "open_ranks"]


def open_ranks(training: Training, device: str, on_lost: Callable[[str], None]) -> Ranks | None:
    """Connect the processes that train together; None where this one trains alone.

    Those that ``torchrun`` started are connected; else one is started for each GPU more than one
    that ``training.gpus`` asks for.

    Parameters
    ----------
    training : Training
        ``gpus`` and ``train_batch_size``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    on_lost : callable
        As :class:`Ranks` takes it.

    Raises
    ------
    ConfigError
        If there are not so many GPUs, or the batch cannot be shared.
    RankLostError
        If a process does not come.
    """
    place = find_place()
    chosen = choose_device(device)
    if place is None:
        count = choose_num_processes(training.gpus, chosen)
        if count == 1:
            return None
        share_batch(training.train_batch_size, count)
        place = RankPlace(0, count)
        store = _host_store()
        ranks = Ranks(place, store, on_lost=on_lost)
        ranks.processes = _start_followers(count, store.port)
    else:
        ranks = Ranks(place, find_store(), on_lost=on_lost)
    try:
        share_batch(training.train_batch_size, place.count)
        found = find_device(chosen.type, place)
        ranks.gather("here", START_SECONDS)
        ranks.order("device", device=chosen.type)
        ranks.connect(found)
    except BaseException:
        ranks.close()
        raise
    return ranks


def choose_num_processes(wanted: int | Literal["all"], device: torch.device) -> int:
    """Turn ``training.gpus`` into a number of processes, one a GPU.

    Raises
    ------
    ConfigError
        If there are not so many GPUs.
    """
    known = torch.cuda.device_count() if device.type == "cuda" else 0
    names_one = ":" in str(device)
    if wanted == "all":
        return 1 if names_one else max(1, known)
    if wanted == 1:
        return 1
    if device.type != "cuda" or wanted > known:
        raise ConfigError(
            f"training.gpus is {wanted}, but PyTorch finds {known} on the device "
            f"{device.type}; it may be 1, all, or up to the number of GPUs.",
            field="training.gpus",
        )
    if names_one:
        raise ConfigError(
            f"training.gpus is {wanted}, but the device {device} names a single GPU; choose the "
            "device cuda or auto.",
            field="training.gpus",
        )
    return wanted


def find_device(kind: str, place: RankPlace) -> torch.device:
    """Find the device of a process: a GPU of its own, or the CPU.

    Raises
    ------
    ConfigError
        If its machine has fewer GPUs than processes.
    """
    if kind == "cpu":
        return torch.device("cpu")
    known = torch.cuda.device_count()
    if place.local_rank >= known:
        raise ConfigError(
            f"This machine runs at least {place.local_rank + 1} of the processes that train "
            f"together, but PyTorch finds {known} GPUs on it; start one process a GPU, or choose "
            "the device cpu."
        )
    return torch.device("cuda", place.local_rank)


def find_store() -> Store:
    """Connect to the store that ``torchrun`` names in the environment."""
    found = rendezvous("env://", timeout=timedelta(seconds=START_SECONDS))
    store: Store = next(iter(found))[0]
    return store


def _host_store() -> TCPStore:
    """Make a store in this process, for processes of this machine."""
    return TCPStore(
        "localhost",
        0,
        is_master=True,
        timeout=timedelta(seconds=START_SECONDS),
        wait_for_workers=False,
    )


def _start_followers(count: int, port: int) -> list[subprocess.Popen[bytes]]:
    """Start the other processes; they end with this one."""
    processes = []
    for rank in range(1, count):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": str(port),
        }
        process = subprocess.Popen(
            # -P: a file named torch.py in the current folder must not be what it imports.
            [sys.executable, "-P", "-m", "napari_surfseg.training.follower"],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        processes.append(process)
    return processes
