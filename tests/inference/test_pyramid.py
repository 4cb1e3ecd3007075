"""Coarser levels are made of finished ones, in shards, and what is void costs nothing."""

import itertools

import numpy as np
import pytest
import zarr
from tests.inference.conftest import noise

from napari_surfseg.data.open import open_volume
from napari_surfseg.inference import pyramid
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.pyramid import plan_levels
from napari_surfseg.inference.volume_writer import VolumeWriter

METADATA = VolumeMetadata((2.0, 0.5, 0.25), "micrometer", translate=(10.0, 0.0, 0.0), version="0.5")


def halve(values, is_mask):
    padded = np.pad(values, [(0, size % 2) for size in values.shape], mode="edge")
    total = sum(
        padded[z::2, y::2, x::2].astype(int) for z, y, x in itertools.product((0, 1), repeat=3)
    )
    return total * 2 >= 8 if is_mask else (total + 4) // 8


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["zyx", "xyz"])
@pytest.mark.parametrize("content", ["labels", "probabilities"])
def test_levels_halve(folder, monkeypatch, version, axes, content):
    monkeypatch.setattr(pyramid, "COARSEST", 20)
    monkeypatch.setattr(pyramid, "LEAST", 4)
    image = noise((37, 41, 53))
    is_mask = content == "labels"
    image = (image > 120).astype(np.uint8) if is_mask else image
    about = VolumeMetadata(
        METADATA.spacing, METADATA.units, METADATA.translate, content, axes, version, {"a": 1}
    )
    VolumeWriter(folder / "out.zarr", image.shape, about).write([((0, 0, 0), image)])
    expected = image
    for level in range(3):
        volume = open_volume(f"{folder / 'out.zarr'}::{level}")
        np.testing.assert_array_equal(volume.read(*volume.box), expected)
        factor = 2**level
        assert volume.spacing == tuple(size * factor for size in METADATA.spacing)
        assert volume.translate == (10 + (factor - 1) * 1.0, (factor - 1) / 4, (factor - 1) / 8)
        assert volume.content == content
        assert volume.stored_axes == axes
        expected = halve(expected, is_mask)
    attributes = dict(zarr.open_group(folder / "out.zarr", mode="r").attrs)
    assert attributes["napari_surfseg_prediction"] == {"a": 1}
    assert ("ome" in attributes) == (version == "0.5")


def test_void_takes_no_files(folder):
    shape = (300, 300, 400)
    piece = np.zeros((128, 256, 256), np.uint8)
    pieces = [((0, 0, 0), piece), ((0, 0, 256), piece[:, :, :144]), ((128, 0, 0), piece + 1)]
    VolumeWriter(folder / "out.zarr", shape, METADATA).write(pieces)
    files = [path for path in (folder / "out.zarr").rglob("*") if "/c/" in str(path)]
    stored = sorted(path.relative_to(folder).as_posix() for path in files if path.is_file())
    assert len(stored) == 2  # a shard of the finest level, and one of the coarser
    assert stored == ["out.zarr/0/c/1/0/0", "out.zarr/1/c/0/0/0"]
    array = zarr.open_array(folder / "out.zarr" / "0", mode="r")
    assert (array.shards, array.chunks) == ((128, 256, 256), (64, 64, 64))


def test_short_axes_are_not_halved():
    assert plan_levels((100, 50, 200)) == [((100, 50, 200), (1, 1, 1))]
    assert plan_levels((20, 1000, 600)) == [
        ((20, 1000, 600), (1, 1, 1)),
        ((20, 500, 300), (1, 2, 2)),
        ((20, 250, 150), (1, 4, 4)),
    ]
