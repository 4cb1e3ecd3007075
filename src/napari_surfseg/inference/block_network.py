"""Predict one block: the windows that it owns, blended into whole numbers.

What the whole numbers are for is said in :mod:`~napari_surfseg.inference.block_sums`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_surfseg.geometry import box_at, box_shape, box_slices, clip_box, shift_box, to_index
from napari_surfseg.inference.block_sums import SCALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3
    from napari_surfseg.inference.block_grid import BlockGrid
    from napari_surfseg.inference.sliding_window import ReadU8, WindowedBox, WindowNetwork

__all__ = ["BlockPredictor"]


class BlockPredictor:
    """Turns blocks of an image into sums.

    Parameters
    ----------
    network : WindowNetwork
        Where it skips constant windows, one in which all voxels are equal (the void around a
        masked scan) holds no surface: its probabilities are 0.
    read_u8 : callable
        ``read_u8(start, stop)`` gives the volume's voxels as uint8.
    box : WindowedBox
        The whole volume.
    blocks : BlockGrid
        Of its windows.
    """

    def __init__(
        self, network: WindowNetwork, read_u8: ReadU8, box: WindowedBox, blocks: BlockGrid
    ) -> None:
        self._network, self._read_u8, self._box, self._blocks = network, read_u8, box, blocks
        self._weights = [
            torch.from_numpy(array).to(network.device) for array in box.grid.compute_weights()
        ]

    def read(self, index: Index3) -> NDArray[np.uint8]:
        """Read what the windows of a block see, mirrored where the volume is too thin."""
        box, extent = self._box, self._blocks.extent_of(index)
        wanted = shift_box(extent, to_index(-offset for offset in box.offset))
        inside = clip_box(wanted, ((0, 0, 0), box.shape))
        values = self._read_u8(*shift_box(inside, box.start))
        for axis in range(3):
            before = inside[0][axis] - wanted[0][axis]
            after = wanted[1][axis] - inside[1][axis]
            if before or after:
                pad = [(0, 0)] * 3
                pad[axis] = (before, after)
                # A single voxel has no neighbour to mirror.
                mode = "reflect" if values.shape[axis] > 1 else "edge"
                values = np.pad(values, pad, mode=mode)  # type: ignore[call-overload]
        return values

    @torch.inference_mode()
    def predict(
        self,
        index: Index3,
        image: NDArray[np.uint8],
        on_windows: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.int32] | None:
        """Predict a block.

        Parameters
        ----------
        index : tuple of int
            Which.
        image : ndarray of uint8
            As :meth:`read` gives it.
        on_windows : callable, optional
            Called with the numbers of windows done and skipped since the last call;
            it may raise to stop.

        Returns
        -------
        ndarray of int32 or None
            Sums over the extent of the block; None where every window is constant.
        """
        network = self._network
        extent = self._blocks.extent_of(index)
        origin = extent[0]
        sums: torch.Tensor | None = None
        held: list[tuple[Index3, Box]] = []
        skipped = 0
        windows = list(self._blocks.iterate_starts(index))
        for number, (window, start) in enumerate(windows, 1):
            place = box_at(start, self._blocks.grid.window)
            if network.skip_constant and _is_constant(image[box_slices(place, origin)]):
                skipped += 1
            else:
                held.append((window, place))
            if held and (len(held) == network.batch_size or number == len(windows)):
                if sums is None:
                    sums = torch.zeros(box_shape(extent), dtype=torch.int32, device=network.device)
                values = np.stack([image[box_slices(place, origin)] for _, place in held])
                for (at, place), probs in zip(held, network(values), strict=True):
                    self._add(sums[box_slices(place, origin)], at, probs)
                if on_windows is not None:
                    on_windows(len(held) + skipped, skipped)
                held, skipped = [], 0
        if skipped and on_windows is not None:
            on_windows(skipped, skipped)
        return None if sums is None else sums.cpu().numpy()

    def _add(self, sums: torch.Tensor, window: Index3, probs: torch.Tensor) -> None:
        z, y, x = (weights[at] for weights, at in zip(self._weights, window, strict=True))
        # In place: nothing else uses these probabilities.
        probs = probs.mul_(y[:, None] * x).mul_((z * SCALE)[:, None, None])
        sums += probs.round_().to(torch.int32)


def _is_constant(values: NDArray[np.uint8]) -> bool:
    """Whether all voxels are equal; in most windows the first plane shows that they are not."""
    first = values[0]
    return bool(first.min() == first.max() and values.min() == values.max())
