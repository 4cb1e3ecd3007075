"""Post-process a volume whose probabilities come piece by piece.

Whether a voxel is surface may depend on voxels at the other end of the volume. So all pieces are
kept first, compressed beside the output, and then processed block by block
(:mod:`napari_surfseg.surfaces.postprocess_blocks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import zarr

from napari_surfseg.geometry import box_at, box_slices
from napari_surfseg.surfaces.postprocess_blocks import PostProcessPasses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Size3
    from napari_surfseg.surfaces.postprocess import PostProcess

__all__ = ["PiecesPostProcess"]

#: Storage chunk of the probabilities that are kept.
CHUNK = 128


class PiecesPostProcess:
    """Takes pieces of probabilities and gives blocks of a mask.

    Parameters
    ----------
    pieces : iterable of (start, array)
        uint8 probabilities that cover the volume, in any order.
    shape : tuple of int
        Z, Y, X of the volume.
    settings : PostProcess
        What to do.
    folder : Path
        For what is kept meanwhile; it is the caller's to remove.
    should_stop : callable, optional
        As for ``PostProcessPasses``.
    """

    def __init__(
        self,
        pieces: Iterable[tuple[Index3, NDArray[np.uint8]]],
        shape: Size3,
        settings: PostProcess,
        folder: Path,
        should_stop: Callable[[], bool | None] | None = None,
    ) -> None:
        self._pieces, self._shape, self._settings = pieces, shape, settings
        self._folder, self._should_stop = folder, should_stop
        self.num_removed = 0

    def __iter__(self) -> Iterator[tuple[Index3, NDArray[np.uint8]]]:
        """Keep all pieces, then give the blocks."""
        kept = zarr.create_array(
            str(self._folder / "probabilities.zarr"),
            shape=self._shape,
            chunks=tuple(min(CHUNK, size) for size in self._shape),
            dtype=np.uint8,
            fill_value=0,
        )
        for start, values in self._pieces:
            kept[box_slices(box_at(start, values.shape))] = values
        passes = PostProcessPasses(
            kept, self._settings, scratch=self._folder / "passes", should_stop=self._should_stop
        )
        yield from passes
        self.num_removed = passes.result.num_removed
