"""Predict the blocks of a plan, in one process: whoever does it, it is done here.

::

    folder ──> plan ──> blocks that are live and not finished ──> BlockWorker ──> files in folder
                          all | one part of them | what Dask hands out
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.resampling import ResampledVolume, Resampling
from napari_surfseg.geometry import box_shape, box_slices, shift_box, to_index
from napari_surfseg.inference.block_network import BlockPredictor
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.inference.sliding_window import WindowedBox, WindowNetwork, evaluation_mode
from napari_surfseg.inference.window_size import fit_to_device
from napari_surfseg.model.intensity import Intensity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import torch
    from numpy.typing import NDArray

    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3
    from napari_surfseg.inference.prediction_folder import PredictionFolder, PredictionPlan
    from napari_surfseg.inference.sliding_window import Model

__all__ = [
    "BlockWorker",
    "choose_part",
    "find_live",
    "order_blocks",
    "see_volume",
    "settings_of",
]

#: Decoded chunks of the image that are held: neighbouring blocks see the same ones.
CACHE_BYTES = 200_000_000


def settings_of(plan: PredictionPlan, device: str | torch.device) -> PredictionSettings:
    """Give the settings of a plan, for a device."""
    return PredictionSettings(
        intensity=Intensity.from_dict(plan.intensity),
        window=plan.window,
        overlap=plan.overlap,
        flips=plan.flips,
        precision="bf16" if plan.precision == "bf16" else "float32",
        device=device,
        skip_constant=plan.skip_constant,
    )


def see_volume(volume: Volume, plan: PredictionPlan) -> Volume:
    """Give a volume as the network of a plan sees it: in its own voxels, or in others."""
    if plan.scale is None:
        return volume
    return ResampledVolume(volume, Resampling(plan.scale).shape(volume.shape))


def find_live(volume: Volume, plan: PredictionPlan) -> NDArray[np.bool_] | None:
    """Find the blocks in which anything is stored; None where any may be.

    What is not stored is of one value, and holds no surface.
    """
    stored = volume.stored_chunks()
    if stored is None or stored.is_everything:
        return None
    low = stored.indices * np.array(stored.chunk)
    high = np.minimum(low + stored.chunk, volume.shape)
    if plan.scale is not None:
        # A voxel of another size is made of its neighbours too.
        low = np.floor(low * np.array(plan.scale)).astype(np.int64) - 2
        high = np.ceil(high * np.array(plan.scale)).astype(np.int64) + 2
    offset = np.array(plan.offset)
    return plan.blocks.mark_touching(low + offset, high + offset)


def choose_part(blocks: NDArray[np.bool_], part: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Keep one part of the marked blocks: numbers from 1, in the order of storage.

    The parts are disjoint, of nearly the same size, and each lies together.
    """
    if part is None:
        return blocks
    number, count = part
    places = np.flatnonzero(blocks)
    low, high = (len(places) * each // count for each in (number - 1, number))
    chosen = np.zeros(blocks.shape, bool)
    chosen.ravel()[places[low:high]] = True
    return chosen


def order_blocks(
    blocks: NDArray[np.bool_], plan: PredictionPlan, first: Box | None = None
) -> list[Index3]:
    """List the marked blocks: first those that see a box of the network's grid, then the rest."""
    found = [to_index(index) for index in np.argwhere(blocks).tolist()]
    if first is not None:
        low, high = plan.blocks.touching(shift_box(first, plan.offset))
        middle = [(a + b - 1) / 2 for a, b in zip(low, high, strict=True)]
        half = [max((b - a) / 2, 1) for a, b in zip(low, high, strict=True)]
        found.sort(
            key=lambda index: max(
                abs(at - mid) / reach for at, mid, reach in zip(index, middle, half, strict=True)
            )
        )
    return found


class BlockWorker:
    """Predicts blocks, one after the other, and reads the next meanwhile.

    Parameters
    ----------
    folder : PredictionFolder
        Where they go.
    plan : PredictionPlan
        Of that folder.
    volume : Volume
        The image.
    model : callable
        As for :func:`~napari_surfseg.inference.predict_region.predict_region`.
    settings : PredictionSettings
        As :func:`settings_of` gives them; what is left open is chosen.
    """

    def __init__(
        self,
        folder: PredictionFolder,
        plan: PredictionPlan,
        volume: Volume,
        model: Model,
        settings: PredictionSettings,
    ) -> None:
        self._folder, self._plan, self._model = folder, plan, model
        settings = fit_to_device(settings, model, plan.shape)
        self._intensity = settings.known_intensity
        self._stored = volume.stored_chunks() if plan.scale is None else None
        self._seen = see_volume(VolumeCache(CACHE_BYTES).view(volume), plan)
        blocks = plan.blocks
        box = WindowedBox((0, 0, 0), plan.shape, blocks.grid, plan.offset)
        network = WindowNetwork(model, settings)
        self._predictor = BlockPredictor(network, self._read_u8, box, blocks)

    def _read_u8(self, start: Index3, stop: Index3) -> NDArray[np.uint8]:
        return self._intensity.to_uint8(read_stored(self._seen, (start, stop), self._stored))

    def predict(
        self,
        indices: Sequence[Index3],
        on_windows: Callable[[int, int], None] | None = None,
    ) -> None:
        """Predict blocks that are not finished yet, and write each as soon as it is.

        Parameters
        ----------
        indices : sequence of tuple of int
            In this order.
        on_windows : callable, optional
            Called with the numbers of windows done and skipped since the last call; it may raise
            to stop.
        """
        with (
            evaluation_mode(self._model),
            ThreadPoolExecutor(1, thread_name_prefix="surfseg-read") as pool,
        ):
            pending: Future[NDArray[np.uint8] | None] | None = None
            for number, index in enumerate(indices):
                image = self._read(index) if pending is None else pending.result()
                pending = None
                if number + 1 < len(indices):
                    pending = pool.submit(self._read, indices[number + 1])
                if image is None:  # another process was here
                    if on_windows is not None:
                        on_windows(self._plan.blocks.count_windows(index), 0)
                    continue
                sums = self._predictor.predict(index, image, on_windows)
                self._folder.write_block(self._plan, index, sums)

    def _read(self, index: Index3) -> NDArray[np.uint8] | None:
        return None if self._folder.is_finished(index) else self._predictor.read(index)


def read_stored(volume: Volume, box: Box, stored: StoredChunks | None) -> NDArray[np.generic]:
    """Read a box, and of it no chunk that is not stored."""
    if stored is None or stored.is_everything:
        return volume.read(*box)
    values = np.full(box_shape(box), stored.fill, volume.dtype)
    for each in stored.boxes(box):
        values[box_slices(each, box[0])] = volume.read(*each)
    return values
