"""What a MONAI bundle runs besides MONAI's own classes, and needs nothing of this package.

Its classes are copied into the bundle (:mod:`~napari_surfseg.sharing.plain_source`). They read
volumes that MONAI does not, lay the windows where ``surfseg predict`` lays them, and write a
result a volume. Imported only where MONAI is installed.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import ImageReader, MetaTensor
from monai.inferers import Inferer
from monai.transforms import LoadImaged, MapTransform

from napari_surfseg.inference.windows import build_grid, choose_window
from napari_surfseg.model.grey_values import leave_out_void
from napari_surfseg.model.intensity import Intensity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from napari_surfseg.geometry import Size3

__all__ = [
    "Evaluator",
    "OwnGreyValuesd",
    "PlanesReader",
    "WindowInferer",
    "build_loader",
    "find_images",
]

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".tif", ".tiff", ".npy")


def find_images(place: str) -> list[str]:
    """Return the volumes of a folder, or the one file that is named."""
    path = Path(place)
    if path.is_file():
        return [str(path)]
    found = sorted(str(item) for item in path.glob("*") if item.name.lower().endswith(SUFFIXES))
    if not found:
        raise FileNotFoundError(
            f"There is no volume in {place}; let dataset_dir name a file or a folder of files "
            f"that end in {', '.join(SUFFIXES)}."
        )
    return found


def build_loader(keys: str) -> LoadImaged:
    """Build MONAI's loader with one more reader, which is asked for its own files only."""
    loader = LoadImaged(keys=keys, ensure_channel_first=True)
    loader.register(PlanesReader())
    return loader


class PlanesReader(ImageReader):
    """Reads files that hold a volume plane by plane: TIFF (with tifffile) and npy.

    The array is given as x, y, z, which is the order of MONAI's other readers.
    """

    def verify_suffix(self, filename: Sequence[str] | str) -> bool:
        """Whether a file is of these kinds."""
        names = [filename] if isinstance(filename, (str, Path)) else filename
        return all(str(name).lower().endswith((".tif", ".tiff", ".npy")) for name in names)

    def read(self, data: Sequence[str] | str, **_kwargs: Any) -> Any:
        """Read the array."""
        name = str(data if isinstance(data, (str, Path)) else data[0])
        if name.lower().endswith(".npy"):
            return np.load(name, allow_pickle=False)
        import tifffile

        return tifffile.imread(name)

    def get_data(self, img: Any) -> tuple[Any, dict[str, Any]]:
        """Return the array as x, y, z and what is known of it."""
        values = np.asarray(img)
        if values.ndim != 3:
            raise ValueError(f"The image has {values.ndim} axes, but a volume has 3: Z, Y, X.")
        values = np.ascontiguousarray(values.transpose())
        if values.dtype.kind in "ui" and values.dtype.itemsize > 1:
            values = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
        affine = np.eye(4)
        return values, {
            "affine": affine,
            "original_affine": affine,
            "spatial_shape": np.asarray(values.shape),
            "original_channel_dim": "no_channel",
            "space": "RAS",
        }


class OwnGreyValuesd(MapTransform):
    """Normalises each volume by its own grey values, as the network was trained.

    Nearly all of them are spread over 256 levels; then their mean is 0 and their deviation 1.
    """

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Normalise the volumes of the keys."""
        found = dict(data)
        for key in self.key_iterator(found):
            image = found[key]
            values = np.asarray(image)
            sample = leave_out_void(values[np.isfinite(values)])
            is_bytes = sample.min() >= 0 and sample.max() <= 255 and not (sample % 1).any()
            low, high = (0.0, 255.0) if is_bytes else np.percentile(sample, (0.5, 99.5))
            if low == high:
                low, high = sample.min(), sample.max()
            levels = Intensity(float(low), float(high), 0.0, 1.0)
            known = levels.to_uint8(sample).astype(np.float64) / 255
            mean, std = known.mean(), max(known.std(), 1 / 255)
            normal = ((levels.to_uint8(values) / 255 - mean) / std).astype(np.float32)
            found[key] = MetaTensor(torch.from_numpy(normal), meta=dict(image.meta))
        return found


class WindowInferer(Inferer):
    """Slides a network over a volume and returns the probability of surface.

    Windows are spread evenly, as large as the device takes, mirrored where the volume is smaller
    and blended with Gaussian weights; windows of equal voxels hold no surface. Instance
    normalisation sees a whole window, so another choice of windows gives another result.

    Parameters
    ----------
    patch : sequence of int
        Z, Y, X voxels of a patch in training.
    multiple : sequence of int, optional
        The network takes sizes divisible by these; without it, patches alone.
    overlap : float
        Least share of a window that its neighbour covers too.
    flips : bool or "auto"
        Average over the eight flips; ``auto`` where the volume is small enough.
    max_window_voxels, max_flip_voxels : dict
        Limits for ``cpu`` and ``cuda``.
    """

    def __init__(
        self,
        patch: Sequence[int],
        multiple: Sequence[int] | None,
        overlap: float,
        flips: bool | str,
        max_window_voxels: dict[str, int],
        max_flip_voxels: dict[str, int],
    ) -> None:
        super().__init__()
        self.patch, self.overlap = _size(patch), overlap
        self.multiple = None if multiple is None else _size(multiple)
        self.flips = flips
        self.max_window_voxels, self.max_flip_voxels = max_window_voxels, max_flip_voxels

    def __call__(
        self, inputs: Tensor, network: Callable[..., Any], *_args: Any, **_kwargs: Any
    ) -> Tensor:
        """Return probabilities (B, 1, Z, Y, X) of normalised volumes of that shape."""
        if inputs.ndim != 5 or inputs.shape[1] != 1:
            raise ValueError(f"The input has shape {tuple(inputs.shape)}, not (B, 1, Z, Y, X).")
        device = inputs.device.type
        volumes = [self._predict(volume[0], network, device) for volume in torch.Tensor(inputs)]
        return torch.stack(volumes)[:, None]

    def _predict(self, volume: Tensor, network: Callable[..., Any], device: str) -> Tensor:
        shape = _size(volume.shape)
        window = self.patch
        if self.multiple is not None:
            window = choose_window(
                shape,
                self.patch,
                multiple=self.multiple,
                overlap=self.overlap,
                max_voxels=_limit(self.max_window_voxels, device),
            )
        grid = build_grid(shape, window, self.overlap)
        if grid.padded_shape != shape:
            grid = build_grid(grid.padded_shape, window, self.overlap)
        before = [(a - b) // 2 for a, b in zip(grid.shape, shape, strict=True)]
        padded = _mirror(volume, before, grid.shape)
        axes: list[tuple[int, ...]] = [()]
        if self.flips is True or (
            self.flips == "auto" and volume.numel() <= _limit(self.max_flip_voxels, device)
        ):
            axes = [a for n in range(4) for a in itertools.combinations((2, 3, 4), n)]
        weights = [torch.from_numpy(array).to(volume.device) for array in grid.compute_weights()]
        total = torch.zeros(grid.shape, device=volume.device)
        places = itertools.product(*(enumerate(starts) for starts in grid.starts))
        for (iz, z), (iy, y), (ix, x) in places:
            part = (slice(z, z + window[0]), slice(y, y + window[1]), slice(x, x + window[2]))
            values = padded[part]
            if values.min() == values.max():
                continue
            probs = sum(_apply(network, values[None, None], flip) for flip in axes) / len(axes)
            weight = weights[1][iy][:, None] * weights[2][ix]
            total[part] += probs * weight * weights[0][iz][:, None, None]
        inside = [slice(low, low + edge) for low, edge in zip(before, shape, strict=True)]
        return total[tuple(inside)]


class Evaluator:
    """Predicts every volume of a dataset and hands the result on.

    Parameters
    ----------
    dataset : iterable
        Gives dictionaries with ``image``.
    network, inferer, postprocessing : callable
        What is slid, what slides it, and what takes the dictionary with ``pred`` in it.
    device : torch.device
        Where the network is.
    """

    def __init__(
        self,
        dataset: Any,
        network: Callable[..., Any],
        inferer: Callable[..., Tensor],
        postprocessing: Callable[[dict[str, Any]], Any],
        device: torch.device,
    ) -> None:
        self.dataset, self.network, self.device = dataset, network, device
        self.inferer, self.postprocessing = inferer, postprocessing

    def run(self) -> None:
        """Predict; the postprocessing writes."""
        for number in range(len(self.dataset)):
            item = self.dataset[number]
            image = item["image"]
            with torch.inference_mode():
                found = self.inferer(image[None].to(self.device), self.network)[0].cpu()
            pred = MetaTensor(found.clone(), meta=dict(image.meta))
            self.postprocessing({**item, "pred": pred})


def _size(values: Sequence[int]) -> Size3:
    z, y, x = (int(value) for value in values)
    return z, y, x


def _limit(limits: dict[str, int], device: str) -> int:
    return limits.get(device, limits["cpu"])


def _mirror(volume: Tensor, before: Sequence[int], shape: Size3) -> Tensor:
    """Mirror a volume at its ends until it has the shape; one voxel is repeated."""
    values = volume.cpu().numpy()
    for axis in range(3):
        size = values.shape[axis]
        pad = [(0, 0)] * 3
        pad[axis] = (before[axis], shape[axis] - size - before[axis])
        if pad[axis] != (0, 0):
            values = np.pad(values, pad, mode="reflect" if size > 1 else "edge")
    return torch.from_numpy(values).to(volume.device)


def _apply(network: Callable[..., Any], values: Tensor, flip: tuple[int, ...]) -> Tensor:
    logits = network(values.flip(flip) if flip else values)
    if isinstance(logits, (list, tuple)):
        logits = logits[0]
    probs = torch.sigmoid(logits.float())
    return (probs.flip(flip) if flip else probs)[0, 0]
