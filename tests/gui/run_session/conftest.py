"""Previews in a run folder."""

import numpy as np

from napari_surfseg.events import PreviewWritten


def write_preview(run, writer, index, value):
    """Write a preview and its event as a worker does."""
    run.previews.mkdir(exist_ok=True)
    shape = (2, 4, 4)
    names = [f"previews/{index}_{what}.npy" for what in ("p", "s")]
    np.save(run.path / names[0], np.full(shape, value, np.uint8))
    np.save(run.path / names[1], np.ones(shape, np.uint8))
    return writer.write(
        PreviewWritten(
            step=index,
            index=index,
            probabilities=names[0],
            skeleton=names[1],
            image="scan.zarr",
            origin=(0, 0, 0),
            shape=shape,
            epoch=1,
            seconds=0.1,
        )
    )
