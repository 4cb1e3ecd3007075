"""The process that stands by for a window: see :mod:`napari_surfseg.runs.standby`."""

from __future__ import annotations

import contextlib
import json
import os
import sys

from napari_surfseg.cli.main import main as surfseg

__all__ = ["main"]


def main() -> int:
    """Prepare, wait for an order on the standard input, and carry it out; return its exit code."""
    # Whatever this meets, the order is carried out as if there had been no preparation.
    with contextlib.suppress(Exception):
        from napari_surfseg.training.warm_up import warm_up

        warm_up()
    line = sys.stdin.readline()
    if not line:
        return 0
    order = json.loads(line)
    _redirect(order["log"])
    return surfseg(order["arguments"])


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
