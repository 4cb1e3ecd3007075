"""What a network is and needs, asked in a process of its own: what the window launches.

The window's process imports neither torch nor MONAI, and opens no checkpoint. This one answers as
:mod:`napari_surfseg.inference.process_protocol` says.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import CheckpointError, ConfigError
from napari_surfseg.geometry import to_index
from napari_surfseg.inference.process_protocol import read_job, run_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["NetworkJob", "main"]


@dataclass(frozen=True)
class NetworkJob:
    """Which network is asked about.

    Attributes
    ----------
    model : dict
        The ``model`` section; with ``preset: auto`` it names a network to start from, whose size
        is meant.
    patch_size : list of int
        Z, Y, X voxels of a training patch.
    batch_size : int
        Patches a step.
    """

    model: dict[str, Any]
    patch_size: list[int]
    batch_size: int

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> NetworkJob:
        """Make a job of what was read from its file."""
        return cls(**values)


def _describe(job: NetworkJob) -> dict[str, Any]:
    from napari_surfseg.model.networks import (
        count_network_parameters,
        estimate_network_bytes,
        resolve_network,
    )
    from napari_surfseg.model.open_network import open_network
    from napari_surfseg.training.start_from import adopt_model

    size = to_index(job.patch_size)
    try:
        model = build_experiment({"model": job.model}, source="the form").model
        if model.preset == "auto":
            model = adopt_model(model, open_network(model.start_from))
        architecture = resolve_network(model, size)
    except CheckpointError as error:
        return {"refused": str(error), "field": "model.start_from"}
    except ConfigError as error:
        return {"refused": str(error), "field": error.field}
    return {
        "divisor": architecture.divisor,
        "num_parameters": count_network_parameters(architecture),
        "step_bytes": estimate_network_bytes(architecture, size, batch_size=job.batch_size),
    }


def main(arguments: list[str] | None = None) -> int:
    """Answer the job named on the command line; returns the exit code."""

    def carry_out(path: Path, report: Callable[[str, float], None]) -> dict[str, Any]:
        report("asking the network", 0.0)
        return _describe(read_job(path, NetworkJob.from_values))

    return run_process(arguments, carry_out)


if __name__ == "__main__":
    sys.exit(main())
