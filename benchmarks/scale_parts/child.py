"""Measure a function in a process of its own: its processor time and the most memory it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def measure_call(module: str, function: str, *arguments: Any) -> dict[str, Any]:
    """Call ``scale_parts.module.function(*arguments)``; all must be plain values.

    Returns
    -------
    dict
        ``result``; ``seconds`` of the processor; ``peak``, bytes that ever lay in memory, with
        Python and the libraries; ``before``, those of them before the call.
    """
    done = subprocess.run(
        [sys.executable, "-m", "scale_parts.child", json.dumps([module, function, arguments])],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | ONE_THREAD,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make the call that the command line describes."""
    import time

    from napari_surfseg.process_memory import measure_peak

    module, function, arguments = json.loads(sys.argv[1])
    call = getattr(import_module(f"scale_parts.{module}"), function)
    before, began = measure_peak(), time.process_time()
    result = call(*arguments)
    seconds = time.process_time() - began
    print(
        json.dumps({"result": result, "seconds": seconds, "peak": measure_peak(), "before": before})
    )


if __name__ == "__main__":
    main()
