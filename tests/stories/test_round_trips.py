"""What is saved from napari or predicted comes back where it was, as what it was."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Surface
from npe2 import PluginManifest

from napari_surfseg.config import Experiment
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError, OutputError
from napari_surfseg.events import EventWriter, PreviewWritten
from napari_surfseg.gui.contributions.readers import get_mesh_reader, get_volume_reader, read_run
from napari_surfseg.gui.contributions.writers import write_labels, write_surface
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.layers.locate import locate
from napari_surfseg.gui.predict.layers import build_layers
from napari_surfseg.gui.predict.prediction import Prediction
from napari_surfseg.gui.run_session.run_layers import (
    describe_layer,
    find_layer,
    read_run_layers,
    write_layer_notes,
)
from napari_surfseg.gui.run_session.session import Session
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.volume_writer import VolumeWriter
from napari_surfseg.runs.folder import RunFolder

PLACE = {"scale": (3, 2, 1), "translate": (30, -20, 5.5), "units": "nm"}
SHAPE = (5, 6, 7)
#: napari shows a rotated layer in 2-D as if it were not.
OBLIQUE = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


@pytest.fixture(scope="module")
def contributions():
    return PluginManifest.from_distribution("napari-surfseg").contributions


def save(layer, path, write):
    data, about, _ = layer.as_layer_data_tuple()
    assert write(str(path), data, about) == [str(path)]


def reopen(path, get_reader=get_volume_reader):
    ((data, about, kind),) = get_reader(str(path))(str(path))
    return Layer.create(data, about, kind)


def assert_same_place(found, layer):
    corners = np.array(np.meshgrid(*[(0.0, 4.0)] * 3)).reshape(3, -1).T
    for corner in corners:
        np.testing.assert_allclose(
            found.data_to_world(corner), np.asarray(layer.data_to_world(corner))[-3:], atol=1e-4
        )
    assert found.units == layer.units[-3:]


# -- labels ------------------------------------------------------------------------


def test_every_writer_of_the_manifest_is_tried_here(contributions):
    written = {
        writer.command.rpartition(".")[2]: sorted(writer.filename_extensions)
        for writer in contributions.writers
    }
    assert written == {
        "write_surface": [".obj", ".ply", ".stl"],
        "write_labels": [".tif", ".tiff", ".zarr"],
    }


@pytest.mark.parametrize("name", ["a.labels.tif", "a.tiff", "a.labels.zarr", "a.ome.zarr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.dtype(">u2")])
def test_labels_come_back_as_labels_in_place(tmp_path, name, dtype):
    values = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 250).astype(dtype)
    layer = Labels(values, **PLACE)
    save(layer, tmp_path / name, write_labels)
    found = reopen(tmp_path / name)
    assert isinstance(found, Labels)
    np.testing.assert_array_equal(found.data, values)
    assert_same_place(found, layer)
    found.data_setitem((np.array([0]),) * 3, 9)  # can be painted on


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_labels_of_no_known_size_come_back_so(tmp_path, name):
    save(Labels(np.ones(SHAPE, np.uint8)), tmp_path / name, write_labels)
    found = reopen(tmp_path / name)
    assert isinstance(found, Labels)
    assert found.scale.tolist() == [1, 1, 1]
    assert str(found.units[0]) == "pixel"


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_labels_with_a_time_axis_and_an_affine_scale_lose_neither_place(tmp_path, name):
    layer = Labels(
        np.ones((1, *SHAPE), np.uint8),
        scale=(7, 3, 2, 1),
        translate=(1, 2, 3, 4),
        affine=np.diag([1, 2, 2, 2, 1]),
        units=("s", "nm", "nm", "nm"),
    )
    save(layer, tmp_path / name, write_labels)
    found = reopen(tmp_path / name)
    assert found.data.shape == SHAPE
    np.testing.assert_allclose(found.scale, (6, 4, 2))
    np.testing.assert_allclose(found.translate, (4, 6, 8))


@OBLIQUE
def test_a_rotation_that_no_volume_file_keeps_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari_surfseg.gui.contributions.writers.show_warning", said.append)
    save(Labels(np.ones(SHAPE, np.uint8), rotate=(10, 0, 0)), tmp_path / "a.tif", write_labels)
    assert "but not its rotation" in said[0]
    save(Labels(np.ones(SHAPE, np.uint8), **PLACE), tmp_path / "b.tif", write_labels)
    assert len(said) == 1


def test_labels_too_large_for_a_tiff_are_refused(tmp_path):
    values = np.zeros(SHAPE, np.int64)
    values[1, 2, 3] = 2**40
    with pytest.raises(OutputError, match=r"save them as \.zarr"):
        save(Labels(values), tmp_path / "a.tif", write_labels)
    assert list(tmp_path.iterdir()) == []
    save(Labels(values), tmp_path / "a.zarr", write_labels)
    assert reopen(tmp_path / "a.zarr").data[1, 2, 3] == 2**40


# -- meshes ------------------------------------------------------------------------


@OBLIQUE
@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
@pytest.mark.parametrize(
    "place",
    [
        PLACE,
        {"scale": (2, 1, -1), "rotate": (10, 20, 30), "shear": (0.1, 0, 0)},
        {"affine": [[0, 1, 0, 5], [1, 0, 0, 6], [0, 0, 2, 7], [0, 0, 0, 1]], "scale": (2, 1, 1)},
    ],
)
def test_a_mesh_comes_back_where_it_was(tmp_path, suffix, place):
    vertices = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    layer = Surface((vertices, faces), **place)
    save(layer, tmp_path / f"a{suffix}", write_surface)
    found = reopen(tmp_path / f"a{suffix}", get_mesh_reader)
    assert isinstance(found, Surface)
    world = [
        {tuple(np.round(one.data_to_world(vertex), 3) + 0.0) for vertex in one.data[0]}
        for one in (layer, found)
    ]
    assert world[0] == world[1]
    assert found.units == layer.units
    # Not turned inside out, even where the layer is mirrored.
    assert volume_of(found) == pytest.approx(
        volume_of(layer) * abs(np.linalg.det(linear_of(layer))), rel=1e-5
    )


def linear_of(layer):
    origin = np.asarray(layer.data_to_world((0, 0, 0)))
    return np.array([np.asarray(layer.data_to_world(unit)) - origin for unit in np.eye(3)]).T


def volume_of(layer):
    """Of a closed mesh, with a sign that says which side is outside."""
    a, b, c = np.moveaxis(layer.data[0].astype(float)[layer.data[1]], 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def test_a_file_without_triangles_is_no_surface(tmp_path):
    (tmp_path / "points.obj").write_text("v 1 2 3\n")
    with pytest.raises(DataError, match="holds no triangles"):
        reopen(tmp_path / "points.obj", get_mesh_reader)


# -- predictions -------------------------------------------------------------------


def test_a_prediction_made_from_a_file_lies_where_the_file_says(tmp_path):
    prediction = Prediction(
        tmp_path,
        {"spacing": (3, 2, 1), "translate": (30, -20, 5.5), "units": "nanometer"},
        "scan",
        {"probabilities": np.zeros(SHAPE, np.uint8), "surface": np.zeros(SHAPE, np.uint8)},
    )
    for layer in build_layers(prediction, None):
        assert_same_place(layer, Image(np.zeros(SHAPE), **PLACE))


@pytest.mark.parametrize("name", ["p.zarr", "p.tif", "p.ome.tif"])
@pytest.mark.parametrize("content", ["probabilities", "labels"])
def test_a_prediction_lies_over_its_image(tmp_path, name, content):
    scan = Image(np.zeros(SHAPE, np.uint8), **PLACE)
    write_layer(take_layer(scan), tmp_path / "scan.zarr")
    source = open_volume(tmp_path / "scan.zarr")
    writer = VolumeWriter(
        tmp_path / name,
        SHAPE,
        VolumeMetadata(source.spacing, source.units, source.translate, content),
    )
    values = np.random.default_rng(0).integers(0, 2, SHAPE).astype(np.uint8)
    writer.write([((0, 0, 0), values)])
    found = reopen(tmp_path / name)
    assert isinstance(found, Labels if content == "labels" else Image)
    np.testing.assert_array_equal(found.data, values)
    assert found.data.dtype == np.uint8
    assert_same_place(found, reopen(tmp_path / "scan.zarr"))
    assert_same_place(found, scan)
    if content == "probabilities":
        assert found.contrast_limits == [0, 255]
        assert found.colormap.name == "surface_probability"


# -- runs --------------------------------------------------------------------------


def make_run(tmp_path, **data):
    scan = Image(np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8), **PLACE)
    write_layer(take_layer(scan), tmp_path / "scan.zarr")
    write_layer(take_layer(Labels(np.ones(SHAPE, np.uint8), **PLACE)), tmp_path / "labels.zarr")
    pair = {"image": str(tmp_path / "scan.zarr"), "labels": str(tmp_path / "labels.zarr")}
    meanings = {"foreground": [1], "background": [2], "ignore": [0]}
    experiment = Experiment.model_validate({"data": {"train": [pair], "labels": meanings, **data}})
    run = RunFolder(tmp_path / "first").create(experiment)
    run.previews.mkdir()
    np.save(run.previews / "p.npy", np.full((2, 2, 2), 200, np.uint8))
    np.save(run.previews / "s.npy", np.ones((2, 2, 2), np.uint8))
    EventWriter(run.events_path).write(
        PreviewWritten(
            step=3, index=0, probabilities="previews/p.npy", skeleton="previews/s.npy",
            image=pair["image"], origin=(1, 2, 3), shape=(2, 2, 2), epoch=1, seconds=0.1,
        )
    )  # fmt: skip
    return run.path, scan


def test_a_run_opens_as_its_image_its_labels_and_the_newest_prediction_in_place(tmp_path):
    run_dir, scan = make_run(tmp_path)
    layers = [Layer.create(*layer) for layer in read_run(str(run_dir))]
    assert [(type(layer), layer.name) for layer in layers] == [
        (Image, "scan"),
        (Image, "first prediction"),
        (Labels, "labels"),
    ]
    image, prediction, labels = layers
    assert_same_place(image, scan)
    assert_same_place(labels, scan)
    np.testing.assert_allclose(prediction.data_to_world((0, 0, 0)), scan.data_to_world((1, 2, 3)))
    assert prediction.units == scan.units
    assert labels.metadata["surfseg_labels"] == {
        1: "foreground", 2: "background", 0: "ignore",
    }  # fmt: skip
    # Trained on again, the volume is read where it lies.
    assert locate(take_layer(image)).file == str(tmp_path / "scan.zarr")


def test_the_run_lies_where_its_own_voxel_size_puts_it(tmp_path):
    run_dir, _ = make_run(tmp_path, spacing=(6, 4, 2))
    image, prediction, labels = (Layer.create(*layer) for layer in read_run(str(run_dir)))
    assert image.scale.tolist() == labels.scale.tolist() == prediction.scale.tolist() == [6, 4, 2]
    np.testing.assert_allclose(prediction.data_to_world((0, 0, 0)), image.data_to_world((1, 2, 3)))


def test_a_run_that_was_started_here_opens_as_it_was_shown(tmp_path):
    run_dir, _ = make_run(tmp_path)
    pair = RunFolder(run_dir).read_experiment().data.train[0]
    shown = Image(np.zeros(SHAPE), name="my scroll", scale=(1, 2, 1), translate=(9, 8, 7))
    write_layer_notes(run_dir, {pair.image: describe_layer(shown)})
    image, prediction, _labels = (Layer.create(*layer) for layer in read_run(str(run_dir)))
    assert image.name == "my scroll"
    assert_same_place(image, shown)
    np.testing.assert_allclose(prediction.data_to_world((0, 0, 0)), shown.data_to_world((1, 2, 3)))


def test_a_layer_opened_in_place_is_found_again_as_the_runs(qapp, tmp_path):
    session = Session()
    run_dir, _ = make_run(tmp_path)
    viewer = ViewerModel()
    for layer in read_run(str(run_dir)):
        viewer.add_layer(Layer.create(*layer))
    run = read_run_layers(run_dir)
    found = [find_layer(viewer, session, path) for path in run.pairs[0]]
    assert found == [viewer.layers[0], viewer.layers[2]]
    session.close()
