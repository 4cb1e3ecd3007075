"""The process that stands by for a window: see :mod:`napari_surfseg.runs.standby`."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from dataclasses import asdict

from napari_surfseg.cli.main import main as surfseg
from napari_surfseg.process_memory import find_gpu_memory

__all__ = ["main"]

#: What a run imports before its first step and the trial step does not: a fifth of the time from
#: Start to the first prediction went into that (``benchmarks/first_minute.py``).
ALSO_NEEDED = ("zarr", "napari_surfseg.runs.worker.worker", "napari_surfseg.cli.train")


def main() -> int:
    """Prepare, wait for an order on the standard input, and carry it out; return its exit code."""
    # Whatever this meets, the order is carried out as if there had been no preparation.
    with contextlib.suppress(Exception):
        from napari_surfseg.training.warm_up import warm_up

        warm_up()
        for name in ALSO_NEEDED:
            importlib.import_module(name)
    _report_gpu()
    for line in sys.stdin:
        order = json.loads(line)
        if "arguments" in order:
            _redirect(order["log"])
            return surfseg(order["arguments"])
        _report_gpu()
    return 0


def _report_gpu() -> None:
    """Tell the window what memory there is where a run would be trained."""
    with contextlib.suppress(Exception):
        import torch

        gpu = find_gpu_memory() if torch.cuda.is_available() else None
        print(json.dumps({"gpu": gpu and asdict(gpu)}), flush=True)  # noqa: T201


def _redirect(log: str) -> None:
    """Send what this process prints to the run's log, as a worker's output goes."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    os.close(nothing)


if __name__ == "__main__":
    raise SystemExit(main())
