"""What is finished stays finished, whoever predicts what in which order."""

from dataclasses import replace

import numpy as np
import pytest
import zarr
from tests.inference.conftest import PLAIN, identity, noise, read_all

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import CancelledError, OutputError
from napari_surfseg.inference.predict_volume import predict_volume
from napari_surfseg.inference.prediction_folder import PredictionFolder
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings, WorkSettings

SHAPE = (37, 53, 61)  # divisible by nothing
PROBABILITIES = OutputSettings(probabilities=True)


class Network:
    """A checkpoint whose network gives the grey values back, and counts its windows."""

    patch_size = (16, 16, 16)
    spacing, units, anisotropy = (1.0, 1.0, 1.0), None, None
    threshold, postprocess, surface_fraction = 0.5, None, None
    intensity = PLAIN

    def __init__(self, value=1.0):
        import torch

        from napari_surfseg.config import Experiment

        self.experiment = Experiment()
        self.weights = {"value": torch.tensor([value])}
        self.num_windows = 0

    def build_model(self, device):
        def model(values):
            self.num_windows += len(values)
            return identity(values)

        return model


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("napari_surfseg.inference.prediction_run.BLOCK_VOXELS", 30_000)
    monkeypatch.setattr("napari_surfseg.inference.prediction_run.BLOCK_WINDOWS", {"cpu": 27})


@pytest.fixture
def image():
    return ArrayVolume(noise(SHAPE), name="scan")


def work_in(folder, **settings):
    return WorkSettings(folder=folder / "blocks", network="some", **settings)


def predict(folder, image, network, name="out.zarr", how=None, **settings):
    settings = {"output_settings": PROBABILITIES, **settings}
    settings.setdefault("work", work_in(folder))
    return predict_volume(image, network, folder / name, how, **settings)


def stop_after(count):
    left = [count]

    def should_stop():
        left[0] -= 1
        return left[0] < 0

    return should_stop


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_what_was_stopped_goes_on_and_costs_a_block_at_most(folder, image, name):
    whole = Network()
    predict(folder, image, whole, "whole" + name)
    assert not (folder / "blocks").exists()
    np.testing.assert_array_equal(read_all(folder / ("whole" + name)), noise(SHAPE))
    said, network = [], Network()
    for count in (20, 45):
        with pytest.raises(CancelledError, match=r"same command goes on from there\.$"):
            predict(folder, image, network, name, should_stop=stop_after(count))
        assert not (folder / name).exists()
    summary = predict(folder, image, network, name, work=work_in(folder, say=said.append))
    assert summary.is_written
    assert "blocks are finished." in said[0]
    in_block = 8
    assert whole.num_windows < network.num_windows <= whole.num_windows + 2 * in_block
    np.testing.assert_array_equal(read_all(folder / name), noise(SHAPE))
    assert sorted(p.name for p in folder.iterdir()) == sorted([name, "whole" + name])


def test_every_window_is_computed_once(folder, image):
    network = Network()
    summary = predict(folder, image, network)
    assert summary.num_blocks > 8
    assert network.num_windows == summary.num_windows


def test_parts_may_come_in_any_order(folder, image):
    network = Network()
    for number in (3, 1):
        part = predict(folder, image, network, work=work_in(folder, part=(number, 3)))
        assert not part.is_written
    with pytest.raises(OutputError, match=r"those of part 2/3; give --part 2/3 again"):
        predict(folder, image, network, work=work_in(folder, finish=True))
    last = predict(folder, image, network, work=work_in(folder, part=(2, 3)))
    assert last.is_written
    assert network.num_windows == last.num_windows
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), noise(SHAPE))


def test_nothing_can_be_finished_where_nothing_was_begun(folder, image):
    with pytest.raises(OutputError, match="There is nothing to finish"):
        predict(folder, image, Network(), work=work_in(folder, finish=True))


@pytest.mark.parametrize("difference", ["image", "network", "overlap"])
def test_another_prediction_is_named_and_may_be_begun_again(folder, image, difference):
    network, how = Network(), PredictionSettings(PLAIN, (16, 16, 16))
    with pytest.raises(CancelledError):
        predict(folder, image, network, how=how, should_stop=stop_after(20))
    if difference == "image":
        image = ArrayVolume(noise(SHAPE, seed=1), name="scan")
    elif difference == "network":
        network = Network(2.0)
    else:
        how = replace(how, overlap=0.5)
    with pytest.raises(OutputError, match=f"another {difference}.*give --restart"):
        predict(folder, image, network, how=how)
    predict(folder, image, network, how=how, work=work_in(folder, restart=True))
    expected = image.read((0, 0, 0), SHAPE)
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), expected)


def test_a_plan_without_a_block_is_in_nobodys_way(folder, image):
    with pytest.raises(CancelledError):
        predict(folder, image, Network(), should_stop=stop_after(0))
    predict(folder, ArrayVolume(noise(SHAPE, seed=1), name="other"), Network())
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), noise(SHAPE, seed=1))


def test_what_is_kept_serves_another_threshold(folder, image):
    network = Network()
    for threshold in (0.5, 0.7):
        written = OutputSettings(threshold=threshold, overwrite=True)
        predict(folder, image, network, output_settings=written, work=work_in(folder, keep=True))
        expected = noise(SHAPE) > threshold * 255
        np.testing.assert_array_equal(read_all(folder / "out.zarr"), expected)
    assert network.num_windows == 3 * 5 * 5


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a block"])
def test_a_damaged_block_is_removed_and_predicted_again(folder, image, content):
    network = Network()
    predict(folder, image, network, "first.zarr", work=work_in(folder, keep=True))
    block = PredictionFolder(folder / "blocks").block_path((0, 1, 1))
    block.write_bytes(content)
    with pytest.raises(OutputError, match=r"Block \(0, 1, 1\).*was damaged"):
        predict(folder, image, network)
    predict(folder, image, network)
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), noise(SHAPE))


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other"}'])
def test_a_damaged_plan_is_one_sentence(folder, image, text):
    (folder / "blocks").mkdir()
    (folder / "blocks" / "plan.json").write_text(text)
    with pytest.raises(OutputError, match=r"cannot be read.*--restart"):
        predict(folder, image, Network())


def test_of_two_who_begin_at_once_one_plan_counts(folder, image):
    network = Network()
    with pytest.raises(CancelledError):
        predict(folder, image, network, should_stop=stop_after(0))
    place = PredictionFolder(folder / "blocks")
    plan = place.read_plan()
    assert place.create(replace(plan, block=(1, 1, 1))) == plan


def test_what_the_viewer_shows_is_predicted_first(folder, image):
    with pytest.raises(CancelledError):
        predict(
            folder,
            image,
            Network(),
            work=work_in(folder, first=((30, 45, 55), (32, 47, 57))),
            should_stop=stop_after(8),
        )
    place = PredictionFolder(folder / "blocks")
    finished = np.argwhere(place.read_finished(place.read_plan()))
    assert finished.tolist() == [[0, 2, 2]]


@pytest.mark.parametrize("fill", [0, 7])
def test_void_chunks_are_neither_read_nor_computed(folder, fill):
    store = str(folder / "scan.zarr")
    array = zarr.create_array(
        store, shape=(80, 90, 100), chunks=(16, 16, 16), dtype="u1", fill_value=fill
    )
    array[40:48, 40:48, 40:48] = noise((8, 8, 8))
    expected = array[:]
    volume = open_volume(folder / "scan.zarr")
    reads, read = [], volume.read
    volume.read = lambda a, b: reads.append((a, b)) or read(a, b)
    network = Network()
    summary = predict(folder, volume, network, work=work_in(folder, keep=True))
    # Two of the chunk, of which the first look at the voxels to recognise the volume is one.
    assert {tuple(np.array(a) // 16) for a, _ in reads[1:]} == {(2, 2, 2)}
    place = PredictionFolder(folder / "blocks")
    assert np.count_nonzero(place.read_finished(place.read_plan())) == summary.num_blocks <= 8
    assert network.num_windows <= 27
    assert summary.num_skipped >= summary.num_windows - 27
    found = read_all(folder / "out.zarr")
    around = np.s_[40:48, 40:48, 40:48]
    np.testing.assert_array_equal(found[around], expected[around])
