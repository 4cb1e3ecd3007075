"""The sliding-window engine: planes go in, finished planes come out.

Windows are visited row by row along Z. A row's windows are added into a slab
of sums one window deep; once a row is done, the planes that no later window
touches are finished and handed on, and the slab moves down. Memory is
therefore that of one slab, whatever the length of the volume::

    row 0   [=========]                planes 0..a are finished after row 0,
    row 1        [=========]           a..b after row 1, and so on
    row 2             [=========]
            0    a    b         end
"""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_surfseg.errors import CancelledError, DeviceMemoryError
from napari_surfseg.geometry import box_shape, to_index
from napari_surfseg.inference.windows import Block, WindowGrid, build_grid
from napari_surfseg.out_of_memory import free_memory, is_out_of_memory
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.inference.settings import PredictionSettings

    Model = Callable[[torch.Tensor], Any]
    ReadU8 = Callable[[Index3, Index3], NDArray[np.uint8]]

__all__ = [
    "Slab",
    "SlabReader",
    "WindowCounter",
    "WindowNetwork",
    "WindowedBox",
    "evaluation_mode",
    "find_converter",
    "lack_of_memory",
    "stream_slabs",
]

#: Voxels read from the volume at once: bounds the copies in its own data type.
READ_VOXELS = 8_000_000

#: Chunks deeper than this are not read ahead whole.
MAX_READ_AHEAD = 128

FLIPS = tuple(
    axes for number in range(4) for axes in itertools.combinations((2, 3, 4), number)
)  # the identity first, then the seven others


@dataclass(frozen=True)
class WindowedBox:
    """Where the windows lie in a volume.

    A box thinner than the window is mirrored at both its ends until it is as
    large; ``grid`` spans the mirrored box, and plane 0 of the box is plane
    ``offset[0]`` of the grid.

    Attributes
    ----------
    start : tuple of int
        First voxel, in the volume's coordinates.
    shape : tuple of int
        Voxels of the box.
    grid : WindowGrid
        Windows over the mirrored box.
    offset : tuple of int
        Mirrored voxels before the box.
    """

    start: Index3
    shape: Size3
    grid: WindowGrid
    offset: Index3

    @classmethod
    def over(cls, box: Box, settings: PredictionSettings) -> WindowedBox:
        """Lay the windows of the settings over a box."""
        shape = box_shape(box)
        grid = build_grid(shape, settings.window, settings.overlap)
        if grid.padded_shape != shape:
            grid = build_grid(grid.padded_shape, settings.window, settings.overlap)
        offset = to_index((a - b) // 2 for a, b in zip(grid.shape, shape, strict=True))
        return cls(box[0], shape, grid, offset)


@dataclass(frozen=True)
class Slab:
    """Finished planes of one block.

    Attributes
    ----------
    start : tuple of int
        First voxel, in the box's coordinates.
    probs : Tensor
        Probabilities, float32, ZYX, on the network's device. Overwritten when
        the next slab is asked for.
    """

    start: Index3
    probs: torch.Tensor


class WindowNetwork:
    """The network with its normalisation, precision and flips: uint8 in, probabilities out.

    Parameters
    ----------
    model : callable
        Takes a float32 tensor (B, 1, Z, Y, X) and returns logits of the same shape
        (or a list whose first item they are).
    settings : PredictionSettings
        With ``flips`` decided and ``batch_size`` chosen.

    Raises
    ------
    ValueError
        If either is still open.
    """

    def __init__(self, model: Model, settings: PredictionSettings) -> None:
        if settings.flips == "auto" or settings.batch_size is None:
            raise ValueError("flips and batch_size must be decided before a network is run")
        self.device = torch.device(settings.device)
        self.batch_size = settings.batch_size
        self.skip_constant = settings.skip_constant
        self._model = model
        mean, std = settings.known_intensity.mean, settings.known_intensity.std
        self._scale = 1 / (255 * std)
        self._shift = -mean / std
        self._bf16 = settings.precision == "bf16"
        self._flips = FLIPS if settings.flips else FLIPS[:1]

    def __call__(self, windows: NDArray[np.uint8]) -> torch.Tensor:
        """Compute probabilities (B, Z, Y, X) of uint8 windows (B, Z, Y, X).

        A batch that does not fit into the device's memory is taken in halves.

        Raises
        ------
        DeviceMemoryError
            If a single window does not fit.
        """
        count = len(windows)
        try:
            return self._predict(windows)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if count == 1:
                raise lack_of_memory(self.device, to_index(windows.shape[1:])) from None
        # Outside the handler, which would keep the failed attempt's tensors alive.
        free_memory()
        return torch.cat([self(windows[: count // 2]), self(windows[count // 2 :])])

    @torch.inference_mode()
    def _predict(self, windows: NDArray[np.uint8]) -> torch.Tensor:
        values = torch.from_numpy(windows)[:, None].to(self.device).float()
        values = values.mul_(self._scale).add_(self._shift)
        total: torch.Tensor | None = None
        for axes in self._flips:
            probs = self._apply(values.flip(axes) if axes else values)
            probs = probs.flip(axes) if axes else probs
            total = probs if total is None else total.add_(probs)
        assert total is not None  # noqa: S101  there is always the identity
        return (total.div_(len(self._flips)) if len(self._flips) > 1 else total)[:, 0]

    def _apply(self, values: torch.Tensor) -> torch.Tensor:
        autocast = torch.autocast(self.device.type, torch.bfloat16) if self._bf16 else nullcontext()
        with autocast:
            logits = self._model(values)
        if isinstance(logits, (list, tuple)):
            logits = logits[0]
        if logits.shape != values.shape:
            raise ValueError(
                f"the model turned {tuple(values.shape)} into {tuple(logits.shape)}; "
                "it must keep the shape"
            )
        return torch.sigmoid(logits.float())


def lack_of_memory(device: str | torch.device, window: Size3) -> DeviceMemoryError:
    """Make the error that says that memory is too small for a window."""
    instead = "" if str(device) == "cpu" else ", or predict on the cpu"
    return DeviceMemoryError(
        f"The memory of the device {device} is too small for a window of {format_shape(window)} "
        f"voxels; end other programs that use it{instead}.",
        window=window,
    )


class SlabReader:
    """The uint8 planes under each row of windows, read ahead in a thread.

    Every voxel is read once for a block, and where the storage has chunks, whole
    chunks at a time along Z.

    Parameters
    ----------
    read_u8 : callable
        ``read_u8(start, stop)`` gives the volume's voxels as uint8.
    box : WindowedBox
        What is read.
    block : Block
        Which column of it, in the grid's coordinates.
    chunks : tuple of int, optional
        Storage chunks of the volume.
    """

    def __init__(
        self, read_u8: ReadU8, box: WindowedBox, block: Block, *, chunks: Size3 | None = None
    ) -> None:
        self._read_u8 = read_u8
        self._box = box
        self._chunks = chunks or (1, 1, 1)
        grid = box.grid
        extents = []
        for axis, (first, last) in ((1, block.windows_y), (2, block.windows_x)):
            starts, window = grid.starts[axis], grid.window[axis]
            extents.append((starts[first], starts[last - 1] + window))
        self.y, self.x = extents
        self._ahead = self._empty()

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """One array (window depth, Y, X) a row of windows."""
        starts, depth = self._box.grid.starts[0], self._box.grid.window[0]
        with ThreadPoolExecutor(1, thread_name_prefix="surfseg-read") as pool:
            slab, slab_start = self._empty(), 0
            pending: Future[NDArray[np.uint8]] = pool.submit(self._planes, 0, depth)
            for row, start in enumerate(starts):
                fresh = pending.result()
                if row + 1 < len(starts):
                    pending = pool.submit(self._planes, start + depth, starts[row + 1] + depth)
                slab = np.concatenate([slab[start - slab_start :], fresh]) if len(slab) else fresh
                slab_start = start
                yield slab

    def _empty(self) -> NDArray[np.uint8]:
        return np.empty((0, self.y[1] - self.y[0], self.x[1] - self.x[0]), np.uint8)

    def _planes(self, begin: int, end: int) -> NDArray[np.uint8]:
        """Planes of the mirrored box; called with adjoining ranges, by one thread."""
        size, padded = self._box.shape[0], self._box.grid.shape[0]
        if padded > size:  # a single row of windows
            return _mirror(self._read(0, size), 0, self._box.offset[0], padded)
        if begin + len(self._ahead) < end:
            first, last = begin + len(self._ahead), end
            depth, shift = self._chunks[0], self._box.start[0]
            if depth <= MAX_READ_AHEAD:
                last = min(-(-(end + shift) // depth) * depth - shift, size)
            self._ahead = np.concatenate([self._ahead, self._read(first, last)])
        planes, self._ahead = self._ahead[: end - begin], self._ahead[end - begin :].copy()
        return planes

    def _read(self, begin: int, end: int) -> NDArray[np.uint8]:
        box = self._box
        ranges = []
        for axis, (low, high) in ((1, self.y), (2, self.x)):
            mirrored = box.grid.shape[axis] > box.shape[axis]
            ranges.append((0, box.shape[axis]) if mirrored else (low, high))
        (y0, y1), (x0, x1) = ranges
        planes = np.empty((end - begin, y1 - y0, x1 - x0), np.uint8)
        dz, dy, dx = box.start
        rows = max(READ_VOXELS // max((end - begin) * (x1 - x0), 1), 1)
        rows = max(rows // self._chunks[1] * self._chunks[1], 1)
        low = y0
        while low < y1:
            # Ends at a chunk's border, so that no chunk is decoded for two tiles.
            high = min((low + dy + rows) // rows * rows - dy, y1)
            planes[:, low - y0 : high - y0] = self._read_u8(
                (begin + dz, low + dy, x0 + dx), (end + dz, high + dy, x1 + dx)
            )
            low = high
        for axis in (1, 2):
            if box.grid.shape[axis] > box.shape[axis]:
                planes = _mirror(planes, axis, box.offset[axis], box.grid.shape[axis])
        return planes


def _mirror(values: NDArray[np.uint8], axis: int, before: int, size: int) -> NDArray[np.uint8]:
    pad = [(0, 0)] * values.ndim
    pad[axis] = (before, size - values.shape[axis] - before)
    # A single voxel has no neighbour to mirror.
    return np.pad(values, pad, mode="reflect" if values.shape[axis] > 1 else "edge")


class WindowCounter:
    """Counts the windows done and reports them; the one place where a prediction is cancelled.

    Parameters
    ----------
    total : int
        Windows in all.
    sentence : str
        Of the error when it is cancelled.
    progress : callable, optional
        ``progress(done, total)`` in windows.
    should_stop : callable, optional
        Asked after every batch of windows.
    done : int
        Windows that were done before.
    """

    def __init__(
        self,
        total: int,
        sentence: str,
        progress: Callable[[int, int], None] | None,
        should_stop: Callable[[], bool] | None,
        done: int = 0,
    ) -> None:
        self.num_skipped = 0
        self._done, self._total = done, total
        self._sentence, self._progress, self._should_stop = sentence, progress, should_stop

    def __call__(self, done: int, skipped: int) -> None:
        """Count windows done, and those among them that needed no network."""
        self._done += done
        self.num_skipped += skipped
        if self._progress is not None:
            self._progress(self._done, self._total)
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise :class:`CancelledError` if the person asked to stop."""
        if self._should_stop is not None and self._should_stop():
            raise CancelledError(self._sentence)


class evaluation_mode:  # noqa: N801  a context manager
    """Set a module to evaluation mode, and back to its mode at the end."""

    def __init__(self, model: Model) -> None:
        self._trained: torch.nn.Module | None = None
        if isinstance(model, torch.nn.Module) and model.training:
            self._trained = model

    def __enter__(self) -> None:
        if self._trained is not None:
            self._trained.eval()

    def __exit__(self, *exception: object) -> None:
        if self._trained is not None:
            self._trained.train()


def find_converter(
    dtype: DTypeLike, threshold: float = 0.5
) -> Callable[[torch.Tensor], NDArray[Any]]:
    """Find how probabilities become an array of a dtype; a mask is above the threshold.

    Raises
    ------
    ValueError
        If the dtype is none of uint8, bool and float32.
    """
    dtype = np.dtype(dtype)
    if dtype == np.uint8:
        return lambda probs: probs.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8).cpu().numpy()
    if dtype == np.bool_:
        return lambda probs: (probs > threshold).cpu().numpy()
    if dtype == np.float32:
        return lambda probs: probs.clamp(0, 1).cpu().numpy()
    raise ValueError(f"dtype must be uint8, bool or float32, not {dtype}")


def stream_slabs(
    network: WindowNetwork,
    reader: SlabReader,
    box: WindowedBox,
    block: Block,
    *,
    on_windows: Callable[[int, int], None] | None = None,
) -> Iterator[Slab]:
    """Predict one block of a box, from the first plane to the last.

    Parameters
    ----------
    network : WindowNetwork
        Turns windows into probabilities. Where it skips constant windows, one in which
        all voxels are equal (the void around a masked scan) holds no surface: its
        probabilities are 0.
    reader : SlabReader
        The planes under each row of windows.
    box : WindowedBox
        The windows.
    block : Block
        The column of the box that is predicted.
    on_windows : callable, optional
        Called with the numbers of windows done and skipped since the last call;
        it may raise to stop.

    Yields
    ------
    Slab
        Adjoining slabs that cover the block.
    """
    grid, device = box.grid, network.device
    weights = [torch.from_numpy(array).to(device) for array in grid.compute_weights()]
    tiles = [(iy, ix) for iy in range(*block.windows_y) for ix in range(*block.windows_x)]
    sums = _Sums(grid, block, weights, device)
    for row, planes in enumerate(reader):
        for first in range(0, len(tiles), network.batch_size):
            group = tiles[first : first + network.batch_size]
            windows, kept = [], []
            for iy, ix in group:
                y, x = grid.starts[1][iy] - reader.y[0], grid.starts[2][ix] - reader.x[0]
                values = planes[:, y : y + grid.window[1], x : x + grid.window[2]]
                if network.skip_constant and _is_constant(values):
                    continue
                windows.append(values)
                kept.append((iy, ix))
            if windows:
                for tile, probs in zip(kept, network(np.stack(windows)), strict=True):
                    sums.add(row, tile, probs)
            if on_windows is not None:
                on_windows(len(group), len(group) - len(kept))
        slab = _without_mirrored(
            box, (grid.starts[0][row], block.y[0], block.x[0]), sums.finished(row)
        )
        if slab.probs.numel():
            yield slab
        sums.advance(row)


def _is_constant(values: NDArray[np.uint8]) -> bool:
    """Whether all voxels are equal; in most windows the first plane shows that they are not."""
    first = values[0]
    return bool(first.min() == first.max() and values.min() == values.max())


def _without_mirrored(box: WindowedBox, start: Index3, probs: torch.Tensor) -> Slab:
    """Cut the box out of a slab of the grid."""
    corner, inside = [], []
    for low, length, offset, size in zip(start, probs.shape, box.offset, box.shape, strict=True):
        begin, end = max(low, offset), min(low + length, offset + size)
        corner.append(begin - offset)
        inside.append(slice(begin - low, max(end, begin) - low))
    return Slab(to_index(corner), probs[tuple(inside)])


class _Sums:
    """Weighted probabilities of the planes under the current row of windows."""

    def __init__(
        self, grid: WindowGrid, block: Block, weights: list[torch.Tensor], device: torch.device
    ) -> None:
        self._grid, self._block, self._weights = grid, block, weights
        shape = (grid.window[0], block.y[1] - block.y[0], block.x[1] - block.x[0])
        self._values = torch.zeros(shape, dtype=torch.float32, device=device)

    @torch.inference_mode()
    def add(self, row: int, tile: tuple[int, int], probs: torch.Tensor) -> None:
        inside, into = [], []
        for axis, index, (low, high) in (
            (1, tile[0], self._block.y),
            (2, tile[1], self._block.x),
        ):
            start, window = self._grid.starts[axis][index], self._grid.window[axis]
            begin, end = max(low, start), min(high, start + window)
            inside.append(slice(begin - start, end - start))
            into.append(slice(begin - low, end - low))
        wz = self._weights[0][row]
        wy = self._weights[1][tile[0]][inside[0]]
        wx = self._weights[2][tile[1]][inside[1]]
        # In place: nothing else uses these probabilities.
        probs = probs[:, inside[0], inside[1]].mul_(wy[:, None] * wx).mul_(wz[:, None, None])
        self._values[:, into[0], into[1]] += probs

    def finished(self, row: int) -> torch.Tensor:
        """Give the planes from the row's start on that no later row touches."""
        return self._values[: self._num_finished(row)]

    @torch.inference_mode()
    def advance(self, row: int) -> None:
        """Move down to the next row."""
        done = self._num_finished(row)
        left = len(self._values) - done
        if left:
            self._values[:left] = self._values[done:].clone()
        self._values[left:] = 0

    def _num_finished(self, row: int) -> int:
        starts = self._grid.starts[0]
        return starts[row + 1] - starts[row] if row + 1 < len(starts) else len(self._values)
