"""A run folder with a preview, whose volumes are gone."""

import numpy as np
import pytest

from napari_surfseg.config import Experiment
from napari_surfseg.events import EventWriter, PreviewWritten, StepFinished
from napari_surfseg.runs.folder import RunFolder


@pytest.fixture
def run_dir(tmp_path):
    run = RunFolder(tmp_path / "first").create(Experiment())
    run.previews.mkdir()
    shape = (4, 8, 8)
    np.save(run.previews / "p.npy", np.full(shape, 200, np.uint8))
    np.save(run.previews / "s.npy", np.ones(shape, np.uint8))
    writer = EventWriter(run.events_path)
    for number in range(1, 4):
        writer.write(
            StepFinished(
                step=number,
                epoch=1,
                losses={"soft_dice": 0.5},
                head_total=0.5,
                total=0.5,
                learning_rate=0.1,
                gradient_norm=1.0,
                steps_per_second=1.0,
                elapsed_seconds=1.0,
                progress=0.1,
            )
        )
    writer.write(
        PreviewWritten(
            step=3,
            index=0,
            probabilities="previews/p.npy",
            skeleton="previews/s.npy",
            image="scan.zarr",
            origin=(1, 2, 3),
            shape=shape,
            epoch=1,
            seconds=0.1,
        )
    )
    return run.path
