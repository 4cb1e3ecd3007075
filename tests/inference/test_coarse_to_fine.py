"""What is surely empty is left out, and what that misses is measured."""

import re

import numpy as np
import pytest
from tests.inference.conftest import read_all
from tests.inference.test_prediction_folder import Network, predict, stop_after, work_in

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import CancelledError, OutputError
from napari_surfseg.inference.settings import OutputSettings

SHAPE = (64, 70, 90)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("napari_surfseg.inference.prediction_run.BLOCK_WINDOWS", {"cpu": 8})


def make_image(*, specks=False):
    """Noise below 2 % around a bright sheet; specks are too small to be seen coarsely."""
    image = np.random.default_rng(0).integers(0, 4, SHAPE, np.uint8)
    image[:16, :20] = 220
    if specks:
        image[40::3, ::5, ::5] = 135
    return ArrayVolume(image, name="scan")


def run(folder, image, network=None, **settings):
    written = OutputSettings(threshold=0.5)
    work = work_in(folder, coarse=2, **settings.pop("work", {}))
    return predict(
        folder, image, network or Network(), work=work, output_settings=written, **settings
    )


def test_empty_blocks_are_left_out(folder):
    image, network, whole = make_image(), Network(), Network()
    summary = run(folder, image, network)
    predict(folder, image, whole, "all.zarr", output_settings=OutputSettings(threshold=0.5))
    assert network.num_windows < 0.9 * whole.num_windows
    said = summary.notes[-1]
    assert re.search(r"left out \d+ of \d+ blocks", said)
    assert said.endswith("about 0 % of all surface is missing.")
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), read_all(folder / "all.zarr"))
    assert not (folder / "blocks").exists()


def test_what_is_missed_is_said(folder):
    image = make_image(specks=True)
    said = run(folder, image).notes[-1]
    share = float(re.search(r"about ([\d.]+) % of all surface", said).group(1))
    missing = (image.read(*image.box) > 127)[32:].mean()
    assert missing > 0
    assert share > 0


def test_the_coarse_look_goes_on_too(folder):
    image, whole, network = make_image(), Network(), Network()
    run(folder, image, whole)
    (folder / "out.zarr").rename(folder / "first.zarr")
    with pytest.raises(CancelledError):
        run(folder, image, network, should_stop=stop_after(9))
    assert (folder / "blocks" / "coarse" / "plan.json").exists()
    run(folder, image, network)
    assert network.num_windows <= whole.num_windows + 8


def test_a_thin_volume_is_refused(folder):
    with pytest.raises(OutputError, match="too few to be seen 2 times coarser"):
        run(folder, ArrayVolume(np.zeros((20, 64, 64), np.uint8), name="scan"))
