"""The kinds of layers people bring: what is trained on, its voxel size, and what is said of it.

Each row is a viewer with a volume and labels. Start either refuses it in a sentence or writes a run
whose worker reads exactly what the layers show.
"""

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari_builtins.io import napari_get_reader

from napari_surfseg.config_files import load_experiment
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.units import format_sizes
from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
from napari_surfseg.gui.layers.layer_data import read_layer_data
from napari_surfseg.gui.predict.layers import build_layers
from napari_surfseg.gui.predict.prediction import Prediction
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.start import execute_plan, make_plan

SHAPE = (24, 32, 40)
NM = {"scale": (30, 10, 10), "units": "nm"}


def grey(dtype=np.uint8, shape=SHAPE):
    return np.random.default_rng(1).integers(0, 200, shape).astype(dtype)


def sheet(dtype=np.uint8, shape=SHAPE):
    values = np.zeros(shape, dtype)
    values[..., shape[-3] // 2, :, :] = 1
    return values


def tiff(folder, data=None, spacing=None, unit="um"):
    """As a microscope writes it, and as napari opens it: without its voxel size."""
    data = grey() if data is None else data
    path = folder / "scan.tif"
    about = {"axes": "ZYX"}
    if spacing is not None:
        z, y, x = spacing
        about |= {"PhysicalSizeZ": z, "PhysicalSizeY": y, "PhysicalSizeX": x}
        about |= {f"PhysicalSize{axis}Unit": unit for axis in "ZYX"}
    tifffile.imwrite(path, data, ome=True, metadata=about, photometric="minisblack")
    return path


def opened_by_napari(path, **options):
    ((data,),) = napari_get_reader(str(path))(str(path))
    return came_from(Image(data, **options), path)


def came_from(layer, path):
    layer.metadata["surfseg_file"] = str(path)
    return layer


def edited(layer):
    layer.data[5, 6, 7] = 255 - layer.data[5, 6, 7]
    return layer


def slices(folder):
    for z, plane in enumerate(grey()):
        tifffile.imwrite(folder / f"z{z:03}.tif", plane)
    ((data,),) = napari_get_reader(str(folder))(str(folder))
    return data


def stored(folder, data, name="a.zarr"):
    array = zarr.create_array(
        str(folder / name), shape=data.shape, chunks=(16,) * 3, dtype=data.dtype
    )
    array[:] = data
    return array


def edited_dask(folder):
    data = da.from_zarr(stored(folder, grey()))
    data[20, 20, 20] = 7
    return came_from(Image(data), folder / "a.zarr")


def mapped(folder, mode):
    np.save(folder / "a.npy", grey())
    data = np.load(folder / "a.npy", mmap_mode=mode)
    if mode == "c":
        data[1, 1, 1] = 255 - data[1, 1, 1]
    return came_from(Image(data), folder / "a.npy")


class Lazy:
    """An array of a make that nobody here knows."""

    ndim = 3

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, index):
        return self.values[index]


def edited_lazy(folder):
    np.save(folder / "a.npy", grey())
    values = grey()
    values[23, 31, 39] += 1  # where no sample of small boxes looks
    return came_from(Image(Lazy(values)), folder / "a.npy")


def affine(scale, turn=None):
    matrix = np.diag([*map(float, scale), 1.0])
    if turn is not None:
        matrix[:3, :3] = turn @ matrix[:3, :3]
    return matrix


TURN = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
SHEAR = np.array([[1, 0, 0], [0, 1, 0.5], [0, 0, 1]])

#: Layer of the volume, options of the labels, voxel size of the run, is it read in its file,
#: words that are said.
READ = {
    # -- how the voxels are held -----------------------------------------------------------------
    "array": (lambda _f: Image(grey()), {}, None, False, []),
    "bool": (lambda _f: Image(grey() > 99), {}, None, False, []),
    "float16": (lambda _f: Image(grey(np.float16)), {}, None, False, []),
    "big-endian": (lambda _f: Image(grey(">u2")), {}, None, False, []),
    "float64": (lambda _f: Image(grey(np.float64)), {}, None, False, []),
    "a flipped view": (lambda _f: Image(grey()[:, ::-1]), {}, None, False, []),
    "a transposed view": (lambda _f: Image(grey(shape=SHAPE[::-1]).T), {}, None, False, []),
    "1×Z×Y×X": (lambda _f: Image(grey(shape=(1, *SHAPE))), {}, None, False, []),
    "1×1×Z×Y×X": (lambda _f: Image(grey(shape=(1, 1, *SHAPE))), {}, None, False, []),
    "multiscale": (lambda _f: Image([grey(), grey()[::2, ::2, ::2]], multiscale=True), {}, None,
                   False, []),
    "dask": (lambda _f: Image(da.from_array(grey(), chunks=16)), {}, None, False, []),
    "dask, sums": (lambda _f: Image(da.from_array(grey(), chunks=16) + 3), {}, None, False, []),
    "zarr": (lambda f: Image(stored(f, grey())), {}, None, True, []),
    "dask of zarr": (lambda f: Image(da.from_zarr(stored(f, grey()))), {}, None, True, []),
    "dask of zarr, flipped": (
        lambda f: came_from(Image(da.from_zarr(stored(f, grey()))[::-1]), f / "a.zarr"), {}, None,
        False, []),
    "slices": (lambda f: came_from(Image(slices(f)), f), {}, None, True, []),
    "mapped": (lambda f: mapped(f, "r"), {}, None, True, []),
    "of a TIFF": (lambda f: opened_by_napari(tiff(f)), {}, None, True, []),
    "of a file of 1×Z×Y×X": (
        lambda f: came_from(Image(np.array(grey(shape=(1, *SHAPE)))),
                            Path(np.save(f / "a.npy", grey(shape=(1, *SHAPE))) or f / "a.npy")),
        {}, None, True, []),
    # -- edited after it was opened --------------------------------------------------------------
    "edited array": (lambda f: edited(opened_by_napari(tiff(f))), {}, None, False, []),
    "edited dask": (edited_dask, {}, None, False, []),
    "edited slices": (lambda f: came_from(Image(da.where(slices(f) == 9, 8, slices(f))), f), {},
                      None, False, []),
    "edited map": (lambda f: mapped(f, "c"), {}, None, False, []),
    "edited lazy array": (edited_lazy, {}, None, False, []),
    # -- voxel size ------------------------------------------------------------------------------
    "scale": (lambda _f: Image(grey(), scale=(3, 1, 1)), {"scale": (3, 1, 1)}, (3, 1, 1), False,
              []),
    "scale and units": (lambda _f: Image(grey(), **NM), NM, (30, 10, 10), False, []),
    "units of each axis": (
        lambda _f: Image(grey(), scale=(0.03, 10, 10), units=("um", "nm", "nm")), NM, (30, 10, 10),
        False, []),
    "labels in another unit": (
        lambda _f: Image(grey(), **NM), {"scale": (0.03, 0.01, 0.01), "units": "um"}, (30, 10, 10),
        False, []),
    "one of one micrometre": (lambda _f: Image(grey(), units="um"), {"units": "um"}, (1, 1, 1),
                              False, []),
    "units that are no length": (
        lambda _f: Image(grey(), scale=(2, 1, 1), units="second"),
        {"scale": (2, 1, 1), "units": "second"}, None, False, ["states its voxel size along Z"]),
    "affine": (lambda _f: Image(grey(), affine=affine((3, 2, 2))), {"affine": affine((3, 2, 2))},
               (3, 2, 2), False, []),
    "affine over scale": (
        lambda _f: Image(grey(), scale=(2, 1, 1), affine=affine((3, 3, 3)), units="nm"),
        {"scale": (6, 3, 3), "units": "nm"}, (6, 3, 3), False, []),
    "rotated": (lambda _f: Image(grey(), affine=affine((3, 2, 2), TURN)),
                {"affine": affine((3, 2, 2), TURN)}, (3, 2, 2), False,
                ["is rotated in the viewer"]),
    "sheared": (lambda _f: Image(grey(), affine=affine((1, 1, 1), SHEAR)),
                {"affine": affine((1, 1, 1), SHEAR)}, (1, 1, 1.118034), False,
                ["is sheared in the viewer"]),
    "mirrored with its labels": (lambda _f: Image(grey(), scale=(-2, 1, 1)), {"scale": (-2, 1, 1)},
                                 (2, 1, 1), False, []),
    "only the file says": (
        lambda f: opened_by_napari(tiff(f, spacing=(0.5, 0.2, 0.2))), {}, (0.5, 0.2, 0.2), True,
        ["that of its file is used, 0.5 x 0.2 x 0.2 µm"]),
    "only the file says, edited": (
        lambda f: edited(opened_by_napari(tiff(f, spacing=(0.5, 0.2, 0.2)))), {}, (0.5, 0.2, 0.2),
        False, ["that of its file is used, 0.5 x 0.2 x 0.2 µm"]),
    "the file says the same in another unit": (
        lambda f: opened_by_napari(tiff(f, spacing=(0.5, 0.2, 0.2)), scale=(500, 200, 200),
                                   units="nm"),
        {"scale": (500, 200, 200), "units": "nm"}, (0.5, 0.2, 0.2), True, []),
    "the file says otherwise": (
        lambda f: opened_by_napari(tiff(f, spacing=(0.5, 0.2, 0.2)), scale=(800, 200, 200),
                                   units="nm"),
        {"scale": (800, 200, 200), "units": "nm"}, (0.8, 0.2, 0.2), True,
        ["voxels of 800 x 200 x 200 nm, its file says 0.5 x 0.2 x 0.2 µm; the layer's are used"]),
    # -- labels beside their volume --------------------------------------------------------------
    "labels without a size": (lambda _f: Image(grey(), **NM), {}, (30, 10, 10), False, []),
    "both shifted": (lambda _f: Image(grey(), translate=(5, 6, 7)), {"translate": (5, 6, 7)}, None,
                     False, []),
    "labels shifted": (lambda _f: Image(grey()), {"translate": (5, 0, -2)}, None, False,
                       ["lie 5, 0, -2 voxels (Z, Y, X) beside the volume 'scan'"]),
    "labels shifted, scaled": (
        lambda _f: Image(grey(), scale=(2, 1, 1)), {"scale": (2, 1, 1), "translate": (6, 0, 0)},
        (2, 1, 1), False, ["lie 3, 0, 0 voxels"]),
    "labels of another size": (
        lambda _f: Image(grey(), scale=(2, 1, 1)), {"scale": (4, 1, 1)}, (2, 1, 1), False,
        ["are scaled, turned or mirrored"]),
    "labels mirrored": (
        lambda _f: Image(grey(), scale=(2, 1, 1)), {"scale": (-2, 1, 1), "translate": (46, 0, 0)},
        (2, 1, 1), False, ["are scaled, turned or mirrored"]),
    "labels shifted by less than half": (lambda _f: Image(grey()), {"translate": (0.4, 0, 0)}, None,
                                         False, []),
    "4-D labels shifted": (lambda _f: Image(grey(shape=(1, *SHAPE))), {"translate": (0, 3, 0)},
                           None, False, ["lie 0, 3, 0 voxels"]),
}  # fmt: skip

REFUSED = {
    "a time series": (
        lambda: Image(grey(shape=(2, *SHAPE))),
        "only axes of length 1 before Z, Y, X",
    ),
    "colours": (lambda: Image(grey(shape=(*SHAPE, 3)), rgb=True), "is a colour image"),
    "a plane": (lambda: Image(grey()[0]), "a volume needs three"),
    "another shape": (lambda: Image(grey(shape=(24, 32, 39))), "they must be the same"),
}


@pytest.fixture
def viewer():
    return ViewerModel()


def form_of(viewer, folder, *pairs):
    choices = [
        PairChoice(SourceChoice.of_layer(image), SourceChoice.of_layer(labels))
        for image, labels in pairs
    ]
    return TrainingForm(
        pairs=tuple(choices),
        meanings={0: "background", 1: "foreground"},
        settings={"data.patch_size": [32, 32, 32], "model.preset": "tiny"},
        name="run",
        folder=str(folder / "runs"),
    )


def started(viewer, folder, *pairs):
    plan = make_plan(form_of(viewer, folder, *pairs), viewer, {})
    return execute_plan(plan, lambda _share: None, lambda *_a, **_o: 1)


def data_of(plan):
    return load_experiment(plan.run_dir / "config.yaml").data


def finest(layer):
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return np.asarray(data[:]).reshape(data.shape[-3:])


@pytest.mark.parametrize("kind", READ)
def test_a_layer_is_trained_on_as_it_is_shown(viewer, tmp_path, kind):
    make, options, spacing, in_place, said = READ[kind]
    folder = tmp_path / "files"
    folder.mkdir()
    image = make(folder)
    image.name = "scan"
    labels = Labels(sheet(), name="sheet", **options)
    viewer.layers.extend([image, labels])
    plan = started(viewer, tmp_path, (image, labels))
    data = data_of(plan)
    (pair,) = data.train
    inputs = plan.run_dir / "inputs"
    assert (not Path(pair.image).is_relative_to(inputs)) == in_place
    assert Path(pair.labels).is_relative_to(inputs), "labels may be painted on"
    volume = open_volume(pair.image)
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), finest(image))
    np.testing.assert_array_equal(open_volume(pair.labels).read((0, 0, 0), SHAPE), sheet())
    assert data.spacing == (pytest.approx(spacing) if spacing else None)
    if not in_place:
        assert volume.spacing == pytest.approx(spacing or (1, 1, 1))
    notes = " ".join(plan.notes)
    assert all(words in notes for words in said), notes
    assert bool(notes) == bool(said), notes


#: 50 nm along Z, written another way.
MICRONS = {"scale": (0.05, 0.01, 0.01), "units": "um"}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_volume_is_refused_in_a_sentence(viewer, tmp_path, kind):
    make, said = REFUSED[kind]
    image = make()
    image.name = "scan"
    labels = Labels(sheet(), name="sheet")
    viewer.layers.extend([image, labels])
    with pytest.raises(SurfsegError, match=said) as raised:
        started(viewer, tmp_path, (image, labels))
    assert "scan" in str(raised.value)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("first", "second", "spacing", "each"),
    [
        ({"scale": (0.1 + 0.2, 1, 1)}, {"scale": (0.3, 1, 1)}, (0.3, 1, 1), [None, None]),
        (NM, {"scale": (0.03, 0.01, 0.01), "units": "um"}, (30, 10, 10), [None, None]),
        # Each its own, so that the run resamples one, or says of which it does not know it.
        (NM, {}, None, [(30, 10, 10), None]),
        (NM, MICRONS, None, [(30, 10, 10), MICRONS["scale"]]),
    ],
)
def test_volumes_of_one_run_share_a_voxel_size_as_lengths_or_have_their_own(
    viewer, tmp_path, first, second, spacing, each
):
    pairs = []
    for name, options in (("a", first), ("b", second)):
        pairs.append((Image(grey(), name=name, **options), Labels(sheet(), name=f"{name} sheet")))
        viewer.layers.extend(pairs[-1])
    data = data_of(started(viewer, tmp_path, *pairs))
    assert data.spacing == (spacing and pytest.approx(spacing))
    for pair, own in zip(data.train, each, strict=True):
        assert pair.spacing == (own and pytest.approx(own))


def test_labels_that_share_their_array_with_a_volume_are_a_volume_of_their_own(viewer, tmp_path):
    values = sheet()
    image, labels = Image(values, name="scan"), Labels(values, name="sheet")
    viewer.layers.extend([image, labels])
    (pair,) = data_of(started(viewer, tmp_path, (image, labels))).train
    assert pair.image != pair.labels
    assert open_volume(pair.labels).content == "labels"


# -- where predictions land ------------------------------------------------------------------------

PLACES = {
    "pixels": {},
    "scale": {"scale": (3, 2, 1)},
    "shifted": {"scale": (3, 2, 1), "translate": (10, 20, 30)},
    "units": {"scale": (3, 2, 1), "units": "nm", "translate": (1, 2, 3)},
    "rotated": {"scale": (3, 2, 1), "rotate": 20},
    "sheared": {"shear": (0.1, 0.2, 0.3)},
    "affine": {"scale": (2, 1, 1), "affine": affine((3, 2, 2), TURN), "translate": (4, 5, 6)},
    "mirrored": {"scale": (-3, 2, -1), "translate": (60, 0, 40)},
}


@pytest.mark.parametrize("leading", [(), (1,), (1, 1)], ids=["Z×Y×X", "1×Z×Y×X", "1×1×Z×Y×X"])
@pytest.mark.parametrize("box", [None, ((4, 6, 8), (12, 22, 32))], ids=["whole", "box"])
@pytest.mark.parametrize("kind", PLACES)
def test_a_prediction_lies_over_its_layer(tmp_path, kind, box, leading):
    options = PLACES[kind]
    if leading and kind in {"rotated", "sheared", "affine"}:
        pytest.skip("napari gives these as matrices of the layer's own number of axes")
    padded = {
        key: (*[1.0 if key == "scale" else 0.0] * len(leading), *value)
        if isinstance(value, tuple)
        else value
        for key, value in options.items()
    }
    layer = Image(grey(shape=(*leading, *SHAPE)), **padded)
    start, stop = box or ((0, 0, 0), SHAPE)
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    arrays = {
        "probabilities": np.zeros(shape, np.uint8),
        "surface": np.zeros(shape, np.uint8),
        "skeleton": np.zeros(shape, np.uint8),
        "vertices": np.array([[0.0, 0, 0], [1, 1, 1], [2, 3, 4]]),
        "faces": np.array([[0, 1, 2]]),
    }
    made = list(build_layers(Prediction(tmp_path, {}, "scan", arrays, box=box), layer))
    assert len(made) == 4
    for voxel in ((0, 0, 0), (2, 3, 4)):
        over = [*[0] * len(leading), *np.add(start, voxel)]
        for result in made:
            np.testing.assert_allclose(
                result.data_to_world(voxel), layer.data_to_world(over)[-3:], atol=1e-9
            )
            assert result.units == layer.units[-3:]


@pytest.mark.parametrize(
    ("result", "place", "size"),
    [
        ({}, (4, 6, 8), "1 x 1 x 1"),
        ({"spacing": (3, 2, 1)}, (12, 12, 8), "3 x 2 x 1"),
        ({"spacing": (3, 2, 1), "translate": (10, 0, 0)}, (22, 12, 8), "3 x 2 x 1"),
        ({"spacing": (3, 2, 1), "units": "nanometer"}, (12, 12, 8), "3 x 2 x 1"),
    ],
)
def test_a_prediction_of_a_file_lies_where_the_file_says(tmp_path, result, place, size):
    box = ((4, 6, 8), (12, 22, 32))
    arrays = {
        "probabilities": np.zeros((8, 16, 24), np.uint8),
        "surface": np.zeros((8, 16, 24), "u1"),
    }
    for made in build_layers(Prediction(tmp_path, result, "scan", arrays, box=box), None):
        assert tuple(made.data_to_world((0, 0, 0))) == place
        assert format_sizes(tuple(made.scale)) == size
        assert str(made.units[0]) == result.get("units", "pixel")


# -- layers that change while they are chosen ------------------------------------------------------


def test_renamed_exchanged_and_reordered_layers_stay_what_was_chosen(viewer, tmp_path):
    first, second = Image(grey(), name="a"), Image(255 - grey(), name="b")
    labels = Labels(sheet(), name="sheet")
    viewer.layers.extend([first, second, labels])
    form = form_of(viewer, tmp_path, (first, labels))
    first.name, second.name = "c", "a"  # another layer has the name that was chosen
    viewer.layers.move(0, 3)
    plan = execute_plan(make_plan(form, viewer, {}), lambda _s: None, lambda *_a, **_o: 1)
    (pair,) = data_of(plan).train
    np.testing.assert_array_equal(open_volume(pair.image).read((0, 0, 0), SHAPE), grey())
    assert plan.image_layers == {pair.image: first}
    viewer.layers.remove(first)
    with pytest.raises(SurfsegError, match="The layer 'c' is gone"):
        make_plan(form, viewer, {})


def test_a_saved_layer_opens_with_its_place(tmp_path):
    from napari_surfseg.gui.contributions.writers import write_labels

    kinds = {
        "plain": ({"scale": (3, 2, 1), "translate": (4, 5, 6), "units": "nm"}, (3, 2, 1),
                  (4, 5, 6)),
        "affine": ({"affine": affine((3, 2, 2)), "translate": (1, 1, 1)}, (3, 2, 2), (3, 2, 2)),
        "mixed": ({"scale": (0.003, 2, 1), "translate": (0.004, 5, 6), "units": ("um", "nm", "nm")},
                  (3, 2, 1), (4, 5, 6)),
        "ones": ({"units": "um"}, (1, 1, 1), (0, 0, 0)),
    }  # fmt: skip
    for kind, (options, spacing, translate) in kinds.items():
        for leading in ((), (1,)):
            if leading and kind != "ones":
                continue
            layer = Labels(sheet(shape=(*leading, *SHAPE)), name="sheet", **options)
            data, attributes, _ = layer.as_layer_data_tuple()
            for suffix in (".tif", ".zarr"):
                path = tmp_path / f"{kind}{len(leading)}{suffix}"
                write_labels(str(path), data, attributes)
                values, about, how = read_layer_data(str(path))
                again = Labels(values, **about)
                assert how == "labels"
                np.testing.assert_array_equal(again.data, sheet())
                np.testing.assert_allclose(again.scale, spacing)
                np.testing.assert_allclose(again.translate, translate)
                unit = "pixel" if "units" not in options else {"ones": "micrometer"}.get(kind)
                assert str(again.units[0]) == (unit or "nanometer")
