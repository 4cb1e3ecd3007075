"""Whole volumes to files: same result by every path, and nothing half-written."""

from dataclasses import dataclass, field, fields

import numpy as np
import pytest
import torch
import zarr
from tests.inference.conftest import PLAIN, identity, noise, read_all

from napari_surfseg.config import Experiment, Model
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume, TransposedVolume
from napari_surfseg.errors import CancelledError, DeviceMemoryError, OutputError
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.predict_volume import (
    check_result,
    compare_spacing,
    predict_to_file,
    predict_volume,
)
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet
from napari_surfseg.surfaces.cleaning import remove_small_components

SHAPE = (40, 50, 60)
WINDOW = (16, 16, 16)


def a_volume(image=None, **settings):
    settings = {"spacing": (2.0, 0.5, 0.25), "units": "micrometer", **settings}
    return ArrayVolume(noise(SHAPE) if image is None else image, name="scan", **settings)


def predict(path, volume=None, model=identity, **settings):
    """Predict into a file; the settings are those of either object, or of the function."""

    def take(kind):
        names = {field.name for field in fields(kind)} & set(settings)
        return {name: settings.pop(name) for name in names}

    written = OutputSettings(**take(OutputSettings))
    how = PredictionSettings(**{"intensity": PLAIN, "window": WINDOW, **take(PredictionSettings)})
    volume = volume or a_volume()
    return predict_to_file(model, volume, path, how, output_settings=written, **settings)


@pytest.mark.parametrize("name", ["out.zarr", "out.tif", "out.tiff", "out.ome.tif", "OUT.ome.zarr"])
@pytest.mark.parametrize("max_block_voxels", [20_000, None])
def test_probabilities_by_every_path(folder, name, max_block_voxels):
    image = noise((24, 130, 140))  # more than one block of 128
    summary = predict(
        folder / name, a_volume(image), probabilities=True, max_block_voxels=max_block_voxels
    )
    written = open_volume(folder / name)
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written.read((0, 0, 0), written.shape), image)
    assert written.spacing == (2.0, 0.5, 0.25)
    assert written.units == "micrometer"
    assert summary.output == folder / name
    assert summary.surface_fraction == pytest.approx((image > 127).mean(), abs=1e-9)


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_the_mask_is_above_the_threshold(folder, name):
    image = noise(SHAPE)
    summary = predict(folder / name, threshold=0.7)
    np.testing.assert_array_equal(read_all(folder / name), (image > 0.7 * 255).astype(np.uint8))
    assert summary.threshold == 0.7


def test_the_file_equals_the_region(folder):
    weights = torch.randn(1, 1, 3, 3, 3, generator=torch.Generator().manual_seed(0))

    def model(values):
        return torch.nn.functional.conv3d(values, weights, padding=1)

    image = noise(SHAPE)
    settings = {"intensity": Intensity(0, 255, 0.5, 0.3), "window": WINDOW, "overlap": 0.4}
    predict(folder / "out.zarr", model=model, probabilities=True, flips=True, **settings)
    region = predict_region(
        model,
        lambda a, b: image[tuple(map(slice, a, b))],
        ((0, 0, 0), image.shape),
        PredictionSettings(**settings, flips=True),
    )
    difference = np.abs(read_all(folder / "out.zarr").astype(int) - region)
    assert difference.max() <= 1  # batches may be summed in another order


@pytest.mark.parametrize("shape", [(2, 2, 3), (3, 50, 7), (16, 16, 16), (17, 40, 5)])
@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_volumes_smaller_than_a_window(folder, shape, name):
    image = noise(shape)
    predict(folder / name, a_volume(image), probabilities=True, skip_constant=False)
    np.testing.assert_array_equal(read_all(folder / name), image)


def test_grey_values_go_through_the_intensity(folder):
    image = np.linspace(-5, 5, 16**3, dtype=np.float32).reshape(16, 16, 16)
    intensity = Intensity(low=-5, high=5, mean=0.0, std=1.0)
    predict(folder / "out.tif", a_volume(image), intensity=intensity, probabilities=True)
    np.testing.assert_array_equal(read_all(folder / "out.tif"), intensity.to_uint8(image))


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
@pytest.mark.parametrize("max_block_voxels", [20_000, None])
def test_small_components_are_removed(folder, name, max_block_voxels):
    image = np.where(np.random.default_rng(4).random((20, 130, 140)) < 0.06, 200, 20)
    image = image.astype(np.uint8)
    image[10] = 220
    expected = remove_small_components(image > 127, 4)
    summary = predict(
        folder / name,
        a_volume(image),
        min_component=4,
        window=(20, 32, 32),
        max_block_voxels=max_block_voxels,
    )
    np.testing.assert_array_equal(read_all(folder / name), expected)
    assert summary.num_removed > 0
    predict(
        folder / ("p" + name),
        a_volume(image),
        min_component=4,
        window=(20, 32, 32),
        probabilities=True,
        max_block_voxels=max_block_voxels,
    )
    np.testing.assert_array_equal(
        read_all(folder / ("p" + name)), np.where((image > 127) & ~expected, 0, image)
    )


def test_void_is_skipped(folder):
    image = np.zeros((16, 64, 64), np.uint8)
    image[:, 48:, 48:] = noise((16, 16, 16))
    calls = []

    def model(values):
        calls.append(len(values))
        return identity(values)

    summary = predict(folder / "out.zarr", a_volume(image), model, overlap=0, probabilities=True)
    assert sum(calls) == 1
    assert (summary.num_windows, summary.num_skipped) == (16, 15)
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), image)


def test_the_place_of_a_zarr_is_kept(folder):
    predict(folder / "scan.zarr", a_volume(), probabilities=True, ome_zarr="0.4")
    attributes = zarr.open_group(folder / "scan.zarr").attrs
    multiscales = attributes["multiscales"]
    multiscales[0]["datasets"][0]["coordinateTransformations"] += [
        {"type": "translation", "translation": [1.0, 2.0, 3.0]}
    ]
    multiscales[0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [1, 2, 2]},
        {"type": "translation", "translation": [0.5, 0, 0]},
    ]
    attributes["multiscales"] = multiscales
    volume = open_volume(folder / "scan.zarr")
    assert volume.spacing == (2.0, 1.0, 0.5)
    assert volume.translate == (1.5, 4.0, 6.0)
    predict(folder / "out.zarr", volume)
    assert open_volume(folder / "out.zarr").translate == (1.5, 4.0, 6.0)
    assert a_volume().translate == (0, 0, 0)


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
@pytest.mark.parametrize("min_component", [0, 5])
def test_cancelling_leaves_nothing(folder, name, min_component):
    asked = []
    with pytest.raises(CancelledError, match=r"scan was cancelled; nothing was written\.$"):
        predict(
            folder / name,
            min_component=min_component,
            should_stop=lambda: asked.append(1) or len(asked) > 20,
        )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_cancelling_while_components_are_removed_leaves_nothing(folder, name):
    progress = []
    with pytest.raises(CancelledError):
        predict(
            folder / name,
            min_component=5,
            progress=lambda done, total: progress.append(done == total),
            should_stop=lambda: progress[-1] and len(progress) and stopped_after_the_last(),
        )
    assert progress[-1]
    assert list(folder.iterdir()) == []


def stopped_after_the_last(state=[]):  # noqa: B006  one counter for both runs
    state.append(1)
    return len(state) % 2 == 0


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), DeviceMemoryError("It is too small."), KeyboardInterrupt()]
)
def test_a_failing_network_leaves_what_was_there(folder, name, error):
    predict(folder / name, probabilities=True)
    before = read_all(folder / name)
    calls = []

    def model(values):
        calls.append(1)
        if len(calls) > 30:
            raise error
        return identity(values)

    with pytest.raises(type(error)):
        predict(folder / name, model=model, overwrite=True)
    assert [p.name for p in folder.iterdir()] == [name]
    np.testing.assert_array_equal(read_all(folder / name), before)


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_overwriting_replaces_at_the_end(folder, name):
    predict(folder / name, probabilities=True)
    predict(folder / name, threshold=0.9, overwrite=True)
    np.testing.assert_array_equal(
        read_all(folder / name), (noise(SHAPE) > 0.9 * 255).astype(np.uint8)
    )
    assert [p.name for p in folder.iterdir()] == [name]


@dataclass(frozen=True)
class SomeCheckpoint:
    intensity: Intensity = PLAIN
    patch_size: tuple = WINDOW
    spacing: tuple = (2.0, 0.5, 0.25)
    units: None = None
    threshold: float = 0.6
    postprocess: None = None
    surface_fraction: float = 0.9
    anisotropy: None = None
    experiment: Experiment = field(default_factory=Experiment)

    def build_model(self, device):
        assert str(device) == "cpu"
        return torch.nn.Identity()


def test_a_checkpoint_brings_window_normalisation_and_threshold(folder):
    summary = predict_volume(a_volume(), SomeCheckpoint(), folder / "out.zarr")
    assert summary.window == WINDOW
    assert summary.threshold == 0.6
    assert summary.warnings == ()
    above = 1 / (1 + np.exp(noise(SHAPE) / -255.0)) > 0.6
    # The threshold acts on the 256 steps in which probabilities are kept.
    assert np.mean(read_all(folder / "out.zarr") == above) > 0.99
    summary = predict_volume(
        a_volume(),
        SomeCheckpoint(),
        folder / "two.zarr",
        output_settings=OutputSettings(threshold=0.3),
    )
    assert summary.surface_fraction == 1


def test_a_real_network_gets_larger_windows_unless_they_do_not_fit(folder, monkeypatch):
    network = build_unet(Model(preset="tiny")).eval()
    divisor = network.architecture.divisor
    patch = (2 * divisor, 2 * divisor, 2 * divisor)

    class Real(SomeCheckpoint):
        def build_model(self, device):
            return network

    summary = predict_volume(a_volume(), Real(patch_size=patch), folder / "out.zarr")
    assert np.prod(summary.window) > np.prod(patch)
    forward = type(network).forward

    def crowded(self, values):
        if values.numel() > np.prod(patch):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(self, values)

    monkeypatch.setattr(type(network), "forward", crowded)
    summary = predict_volume(a_volume(), Real(patch_size=patch), folder / "small.zarr")
    assert summary.window == patch
    monkeypatch.undo()
    tiny = predict_volume(a_volume(noise((3, 4, 5))), Real(patch_size=patch), folder / "tiny.zarr")
    assert min(tiny.window) >= 2 * divisor


def test_a_faulty_output_is_refused_before_the_network_is_built(folder):
    with pytest.raises(OutputError, match="must end in"):
        predict_volume(a_volume(), object(), folder / "out.npy")


def test_a_spacing_unlike_that_of_training_is_said():
    volume = a_volume()
    assert compare_spacing(volume, (2.0, 0.5, 0.25)) is None
    assert compare_spacing(volume, (1.6, 0.5, 0.25)) is None
    assert compare_spacing(volume, (1.0, 1.0, 1.0)) is None  # not known
    assert compare_spacing(a_volume(spacing=None), (2.0, 0.5, 0.25)) is None
    sentence = compare_spacing(volume, (1.0, 0.5, 0.25))
    assert sentence.startswith("The voxels of scan are 2 x 0.5 x 0.25")
    assert "those the network was trained on 1 x 0.5 x 0.25" in sentence
    assert sentence.endswith(".")


def test_spacings_are_compared_as_lengths():
    nanometres = ArrayVolume(noise((4, 5, 6)), name="scan", spacing=(50, 8, 8), units="nm")
    assert compare_spacing(nanometres, (0.05, 0.008, 0.008), "micrometer") is None
    sentence = compare_spacing(nanometres, (50, 8, 8), "micrometer")
    assert "are 50 x 8 x 8 nm, those the network was trained on 50 x 8 x 8 µm" in sentence
    of_one = ArrayVolume(noise((4, 5, 6)), name="scan", spacing=(1, 1, 1), units="um")
    assert compare_spacing(of_one, (1, 1, 1), "nanometer") is not None
    assert compare_spacing(of_one, (1, 1, 1)) is None  # not known


@pytest.mark.parametrize("axes", ["xyz", "yxz", "zxy"])
@pytest.mark.parametrize("settings", [{"probabilities": True}, {"min_component": 40}])
def test_a_result_is_stored_in_the_order_of_its_source(folder, axes, settings):
    image = noise((24, 130, 140))  # more than one chunk, and more than one block
    order = ["zyx".index(axis) for axis in axes]
    about = {"spacing": [(2.0, 0.5, 0.25)[axis] for axis in order], "units": "um"}
    about["translate"] = [(30.0, 20.0, 10.0)[axis] for axis in order]
    source = TransposedVolume(ArrayVolume(image.transpose(order), name="scan", **about), axes)
    predict(folder / "turned.zarr", source, max_block_voxels=40_000, **settings)
    predict(folder / "plain.zarr", a_volume(image), max_block_voxels=40_000, **settings)
    stored = zarr.open_array(str(folder / "turned.zarr" / "0"), mode="r")[:]
    plain = read_all(folder / "plain.zarr")
    np.testing.assert_array_equal(stored, plain.transpose(order))
    opened = open_volume(folder / "turned.zarr")
    np.testing.assert_array_equal(opened.read(*opened.box), plain)
    assert opened.stored_axes == axes
    assert opened.spacing == (2.0, 0.5, 0.25)
    assert opened.translate == (30.0, 20.0, 10.0)
    assert opened.units == "micrometer"


def test_a_tiff_has_pages_of_z_whatever_the_order_of_its_source(folder):
    image = noise((6, 8, 9))
    source = TransposedVolume(ArrayVolume(image.transpose(2, 1, 0), name="scan"), "xyz")
    predict(folder / "out.tif", source, probabilities=True)
    np.testing.assert_array_equal(read_all(folder / "out.tif"), image)


def test_what_was_left_out_of_the_file_is_among_the_warnings(folder):
    volume = ArrayVolume(noise((4, 5, 6)), name="scan", notes=["Slice 5 is missing."])
    summary = predict_volume(volume, SomeCheckpoint(), folder / "out.zarr")
    assert "Slice 5 is missing." in summary.warnings


def test_a_zarr_on_disk_is_read_by_whole_chunks_once(folder):
    image = noise((64, 40, 40))
    store = str(folder / "scan.zarr")
    array = zarr.create_array(store, shape=image.shape, chunks=(24, 16, 16), dtype="u1")
    array[:] = image
    volume = open_volume(folder / "scan.zarr")
    reads = []
    original = volume.read
    volume.read = lambda a, b: reads.append((a, b)) or original(a, b)
    predict(folder / "out.zarr", volume, probabilities=True)
    np.testing.assert_array_equal(read_all(folder / "out.zarr"), image)
    assert len(reads) == len(set(reads)) == 3 * 3 * 3


@pytest.mark.parametrize(
    ("found", "trained", "sentence"),
    [
        (0.0, None, "No surface was found in scan.tif"),
        (0.0, 0.1, "No surface was found in scan.tif"),
        (0.7, None, "is taken for surface: its grey values"),
        (0.4, 0.05, "where training saw 5.0 % at most"),
        (0.8, 0.2, "where training saw 20.0 % at most"),
        (0.99, 0.5, "is taken for surface"),
        (1e-6, 0.1, None),
        (0.25, 0.05, None),
        (0.5, 0.2, None),
        (0.5, None, None),
        (0.9, 0.5, None),
    ],
)
def test_an_empty_or_full_result_is_doubted(found, trained, sentence):
    said = check_result("scan.tif", found, trained)
    assert said is None if sentence is None else sentence in said
