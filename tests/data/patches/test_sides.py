"""Flips and turns are chosen by the texture on the two sides of the surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_surfseg.config import Data
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.patches.sides import measure_sides, resolve_symmetries
from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.data.phantom.settings import PhantomSettings
from napari_surfseg.data.volume import ArrayVolume

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
PATCH = (32, 32, 32)


def pair_of(image, labels, spacing=None):
    volumes = [
        ArrayVolume(np.ascontiguousarray(values), name=name, spacing=spacing)
        for name, values in (("image", image), ("labels", labels))
    ]
    return check_volumes(*volumes, Data(), role="train")


@pytest.fixture(scope="module")
def scroll():
    settings = PhantomSettings(shape=(64, 128, 128), seed=3)
    box = ScrollPhantom(settings).compute_box((0, 0, 0), settings.shape)
    return box.image, box.labels


@pytest.mark.parametrize(
    ("axes", "wanted"), [((0, 1, 2), "axial"), ((1, 0, 2), "axial_y"), ((2, 1, 0), "axial_x")]
)
@pytest.mark.parametrize("seed", [1, 2025])
def test_a_scroll_keeps_its_axis(scroll, axes, wanted, seed):
    pair = pair_of(*(values.transpose(axes) for values in scroll))
    found, reason = resolve_symmetries("auto", [pair], PATCH, seed=seed)
    assert found == wanted
    assert f"texture runs along {'ZYX'[axes.index(0)]} on one" in reason


def test_strokes_on_the_surface_are_enough(scroll):
    image, dense = scroll
    labels = np.full_like(dense, 2)
    for z in (16, 24, 32, 40, 48):
        labels[z, ::3] = dense[z, ::3]
    found, _ = resolve_symmetries("auto", [pair_of(image, labels)], PATCH, seed=2025)
    assert found == "axial"


@pytest.mark.parametrize("name", ["train", "test"])
def test_membranes_of_nerve_tissue_take_all(name):
    folder = SHARED / "fibsem_gala"
    if not folder.exists():
        pytest.skip("the shared volumes are not there")
    image = tifffile.imread(folder / f"{name}_image.tif")
    membrane = tifffile.imread(folder / f"{name}_membrane.tif")
    pair = pair_of(image, membrane)
    for seed in (1, 2025):
        assert measure_sides([pair], seed=seed).axis is None
    found, reason = resolve_symmetries("auto", [pair], PATCH, seed=1)
    assert found is True
    assert "in every way" in reason


def test_sheets_in_noise_have_no_sides():
    rng = np.random.default_rng(0)
    labels = np.zeros((96, 96, 96), np.uint8)
    labels[10::16] = 1
    labels[11::16] = 1
    image = np.where(labels == 1, 150, 90) + rng.normal(0, 15, labels.shape)
    pair = pair_of(image.clip(0, 255).astype(np.uint8), labels)
    texture = measure_sides([pair], seed=0)
    assert texture.num_blocks > 12
    assert texture.axis is None


def test_what_lies_outside_the_scan_may_be_nan(scroll):
    image, labels = scroll
    image = image.astype(np.float32)
    image[:, :40] = np.nan
    volumes = ArrayVolume(image, name="image"), ArrayVolume(labels, name="labels")
    pair = check_volumes(*volumes, Data(void_value=float("nan")), role="train")
    assert resolve_symmetries("auto", [pair], PATCH, seed=2025)[0] in (True, "axial")


def test_little_surface_says_nothing():
    labels = np.zeros((32, 32, 32), np.uint8)
    labels[16, 10:20, 10:20] = 1
    image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    found, reason = resolve_symmetries("auto", [pair_of(image, labels)], PATCH, seed=0)
    assert found is True
    assert "too little labelled surface" in reason


def test_nothing_is_measured_where_nothing_is_turned(scroll, monkeypatch):
    monkeypatch.setattr("napari_surfseg.data.patches.sides.measure_sides", None)
    pair = pair_of(*scroll, spacing=(3.0, 2.0, 1.0))
    assert resolve_symmetries("auto", [pair], PATCH, seed=0)[0] is True


@pytest.mark.parametrize("wanted", [True, False, "axial", "axial_y"])
def test_what_a_person_set_stays(scroll, wanted):
    assert resolve_symmetries(wanted, [pair_of(*scroll)], PATCH, seed=0) == (wanted, "")
