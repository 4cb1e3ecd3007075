"""What is refused before a run starts, each in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_surfseg.config import Data, Labels, Pair, ValidationSlab
from napari_surfseg.data import census as census_module
from napari_surfseg.data import volume as volume_module
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import open_pairs
from napari_surfseg.errors import ConfigError, DataError, LabelError, SurfsegError
from napari_surfseg.model.intensity import Intensity

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
SHAPE = (16, 20, 40)


def make_labels(shape=SHAPE):
    labels = np.zeros(shape, np.uint8)
    labels[:, :, ::6] = 1
    return labels


def make_image(shape=SHAPE, dtype="uint8"):
    return np.random.default_rng(0).integers(1, 250, shape).astype(dtype)


@pytest.fixture
def save(tmp_path):
    """Write a pair as npy and give it as it stands in a configuration."""

    def write(image=None, labels=None, name="a", **options):
        paths = tmp_path / f"{name}.npy", tmp_path / f"{name}_labels.npy"
        np.save(paths[0], make_image() if image is None else image)
        np.save(paths[1], make_labels() if labels is None else labels)
        return Pair(image=str(paths[0]), labels=str(paths[1]), **options)

    return write


def test_a_good_pair_is_split(save):
    train, validation = open_pairs(Data(train=(save(),)))
    assert train[0].roi == ((0, 0, 0), (16, 20, 32))
    assert validation[0].roi == ((0, 0, 34), (16, 20, 40))
    assert train[0].role == "train"
    assert validation[0].role == "validation"
    assert train[0].shape == (16, 20, 32)
    assert train[0].foreground_fraction == pytest.approx(6 / 32)
    assert validation[0].foreground_fraction == pytest.approx(1 / 6)
    assert train[0].ignored_fraction == 0
    assert train[0].census.num_foreground == 6 * 16 * 20
    row = train[0].as_row()
    assert row["role"] == "train"
    assert row["shape"] == [16, 20, 32]
    assert row["spacing"] == [1.0, 1.0, 1.0]


def test_a_named_validation_pair(save):
    pairs = save(), save(name="b")
    train, validation = open_pairs(Data(train=pairs[:1], validation=pairs[1:]))
    assert train[0].shape == validation[0].shape == SHAPE
    assert validation[0].name == "b.npy"
    assert validation[0].role == "validation"


def test_strokes_only(save):
    labels = np.zeros(SHAPE, np.uint8)
    labels[8, 5, 2:38] = 1
    labels[8, 10, 2:38] = 2
    mapping = Labels(foreground=(1,), background=(2,), ignore=(0,))
    train, validation = open_pairs(Data(train=(save(labels=labels),), labels=mapping))
    assert train[0].census.num_foreground == 36
    assert validation == []
    assert train[0].ignored_fraction > 0.99


def test_strokes_in_one_place_train_where_another_volume_validates(save):
    labels = np.full(SHAPE, 2, np.uint8)
    labels[8, 5, 5:7] = (0, 1)
    train, validation = open_pairs(Data(train=(save(labels=labels), save(name="b"))))
    assert [pair.name for pair in train] == ["a.npy", "b.npy"]
    assert [pair.name for pair in validation] == ["b.npy"]
    assert "too little annotated surface to be cut in two" in train[0].notes[0]
    assert train[0].shape == SHAPE


def test_a_region(save):
    pair = save(roi=((2, 14), (3, 17), (4, 34)))
    train, validation = open_pairs(Data(train=(pair,)))
    assert train[0].roi == ((2, 3, 4), (14, 17, 29))
    assert validation[0].roi == ((2, 3, 30), (14, 17, 34))


def test_a_volume_smaller_than_a_patch_is_allowed(save):
    train, _ = open_pairs(Data(train=(save(),), patch_size=(64, 64, 64)))
    assert train[0].shape[0] == 16


def test_targets_and_image_as_the_network_sees_them(save):
    image = make_image()
    image[:, :4] = 0
    train, _ = open_pairs(Data(train=(save(image=image),), void_value=0))
    targets = train[0].open_targets().read((0, 0, 0), SHAPE)
    assert np.all(targets[:, :4] == 2)
    np.testing.assert_array_equal(targets[:, 4:], make_labels()[:, 4:])
    assert train[0].ignored_fraction == pytest.approx(0.2)


def test_spacing_of_the_labels_helps_out(tmp_path):
    np.save(tmp_path / "a.npy", make_image())
    tifffile.imwrite(
        tmp_path / "labels.tif", make_labels(), metadata={"spacing": [2, 1, 1], "unit": "um"}
    )
    pair = Pair(image=str(tmp_path / "a.npy"), labels=str(tmp_path / "labels.tif"))
    train, _ = open_pairs(Data(train=(pair,)))
    assert train[0].spacing == (2.0, 1.0, 1.0)
    assert train[0].image.units == "micrometer"


def nan_image():
    image = make_image(dtype="float32")
    image[3, 4, 5] = np.nan
    return image


def outside_labels():
    labels = make_labels()
    labels[0, 0, 0] = 7
    return labels


REFUSED = {
    "shape": (
        {"labels": make_labels((16, 20, 41))},
        {},
        DataError,
        "data.train.0.labels",
        r"has shape 16 x 20 x 40 but its labels .* have 16 x 20 x 41; both must be the same",
    ),
    "label dtype": (
        {"labels": make_labels().astype("float32")},
        {},
        LabelError,
        "data.train.0.labels",
        r"holds float32 values; labels must be whole numbers",
    ),
    "image dtype": (
        {"image": make_image().astype("complex64")},
        {},
        DataError,
        "data.train.0.image",
        r"holds complex numbers",
    ),
    "NaN": (
        {"image": nan_image()},
        {},
        DataError,
        "data.train.0.image",
        r"holds 1 NaN or infinite voxels, one at \(3, 4, 5\); replace them",
    ),
    "values outside the mapping": (
        {"labels": outside_labels()},
        {},
        LabelError,
        "data.labels",
        r"holds the value 7 \(1 voxel\), not listed in data.labels \(foreground \[1\]",
    ),
    "mask of 0 and 255": (
        {"labels": make_labels() * 255},
        {},
        LabelError,
        "data.labels",
        r"value 255 \(2,240 voxels\)",
    ),
    "all ignored": (
        {"labels": np.full(SHAPE, 2, np.uint8)},
        {},
        LabelError,
        "data.train.0.labels",
        r"has no annotated voxels: all 12,800 looked at are ignored \(data.labels says",
    ),
    "all void": (
        {"image": np.zeros(SHAPE, np.uint8)},
        {"void_value": 0},
        LabelError,
        "data.train.0.labels",
        r"are ignored or void in the image",
    ),
    "no surface": (
        {"labels": np.zeros(SHAPE, np.uint8)},
        {},
        LabelError,
        "data.train.0.labels",
        r"has no surface voxels, so there is nothing to tell apart",
    ),
    "no background": (
        {"labels": np.ones(SHAPE, np.uint8)},
        {},
        LabelError,
        "data.train.0.labels",
        r"has no background voxels",
    ),
    "empty": (
        {"image": np.zeros((0, 4, 4), np.uint8)},
        {},
        DataError,
        "data.train.0.image",
        r"holds no voxels",
    ),
    "region outside": (
        {"roi": ((0, 16), (0, 20), (0, 41))},
        {},
        ConfigError,
        "data.train.0.roi",
        r"data.train.0.roi is .* reaches beyond the shape 16 x 20 x 40",
    ),
    "gap too wide": (
        {},
        {"validation": ValidationSlab(gap=40)},
        ConfigError,
        "data.validation.gap",
        r"data.validation.gap is 40, but the longest axis of .* has only 40 voxels",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(save, case):
    files, settings, kind, field, sentence = REFUSED[case]
    with pytest.raises(SurfsegError, match=sentence) as caught:
        open_pairs(Data(train=(save(**files),), **settings))
    assert type(caught.value) is kind
    assert caught.value.field == field
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert caught.value.exit_code == 2


def test_no_volumes():
    with pytest.raises(ConfigError, match=r"data\.train names no volumes") as caught:
        open_pairs(Data())
    assert caught.value.field == "data.train"


def test_no_file(save):
    pair = save()
    with pytest.raises(DataError, match="There is no file or folder") as caught:
        open_pairs(Data(train=(pair,), validation=(Pair(image=pair.image, labels="no.npy"),)))
    assert caught.value.field == "data.validation.0.labels"


def test_cannot_be_split(save):
    labels = np.full(SHAPE, 2, np.uint8)
    labels[8, 5, 5:7] = (0, 1)
    train, validation = open_pairs(Data(train=(save(labels=labels),)))
    assert train[0].shape == SHAPE
    assert validation == []


def test_no_validation_is_wanted(save):
    train, validation = open_pairs(Data(train=(save(),), validation=ValidationSlab(fraction=0)))
    assert train[0].shape == SHAPE
    assert validation == []


def save_with_spacing(path, values, spacing):
    tifffile.imwrite(path, values, metadata={"spacing": spacing, "unit": "um"})
    return str(path)


def test_spacing_mismatch(tmp_path):
    image = save_with_spacing(tmp_path / "a.tif", make_image(), [2, 1, 1])
    labels = save_with_spacing(tmp_path / "l.tif", make_labels(), [1, 1, 1])
    pair = Pair(image=image, labels=labels)
    with pytest.raises(DataError, match=r"has voxel size 2 x 1 x 1 µm but .* have 1 x 1 x 1 µm"):
        open_pairs(Data(train=(pair,)))
    train, _ = open_pairs(Data(train=(pair,), spacing=(3, 1, 1)))
    assert train[0].spacing == (3.0, 1.0, 1.0)


def test_volumes_of_one_run_must_be_alike(tmp_path, save):
    pairs = [
        Pair(
            image=save_with_spacing(tmp_path / f"{i}.tif", make_image(), [step, 1, 1]),
            labels=save_with_spacing(tmp_path / f"{i}l.tif", make_labels(), [step, 1, 1]),
        )
        for i, step in enumerate((1, 2))
    ]
    with pytest.raises(
        DataError, match=r"must agree to 10%, or be resampled .* or data\.spacing must be set"
    ) as caught:
        open_pairs(Data(train=tuple(pairs), resample="none"))
    assert caught.value.field == "data.spacing"
    others = save(image=make_image(dtype="uint16"), name="wide"), save()
    with pytest.raises(
        DataError, match=r"holds uint16 and .* uint8 values; .* all be uint8, or none"
    ):
        open_pairs(Data(train=others))


def test_real_volumes():
    folder = SHARED / "fibsem_gala"
    if not folder.exists():
        pytest.skip("the shared sample volumes are not beside this checkout")
    pair = Pair(image=str(folder / "train_image.tif"), labels=str(folder / "train_membrane.tif"))
    train, validation = open_pairs(Data(train=(pair,)))
    labels = tifffile.imread(folder / "train_membrane.tif")
    for part in (train[0], validation[0]):
        place = tuple(slice(a, b) for a, b in zip(*part.roi, strict=True))
        assert part.census.num_foreground == np.count_nonzero(labels[place])


def test_says_where_validation_is(save):
    labels = make_labels()
    labels[:, :, 30:] = 0
    train, validation = open_pairs(Data(train=(save(labels=labels),)))
    assert train[0].remarks == (
        "Validation takes the beginning of axis X of a.npy (6 of 40 planes, with a gap of 2): of "
        "the slabs at its faces the one whose content is most like the rest.",
    )
    assert validation[0].roi[1][2] == 6
    assert validation[0].remarks == ()


def test_says_if_only_a_part_was_checked(save, monkeypatch):
    monkeypatch.setattr(census_module, "MAX_VOXELS", 2000)
    monkeypatch.setattr(census_module, "UNIT_VOXELS", 1000)
    monkeypatch.setattr(volume_module, "VIRTUAL_CHUNK", 8)
    pair = save()
    train, _ = open_pairs(Data(train=(pair,), validation=(pair,)))
    assert "is so large that 3 of its 30 stored parts were counted" in train[0].notes[0]


def test_void_and_image_share_what_is_decoded(save):
    image = make_image()
    image[:, :4] = 0
    for dtype, chunks in (("uint8", 2), ("uint16", 3)):
        pair = save(image=image.astype(dtype))
        train, _ = open_pairs(Data(train=(pair,), void_value=0))
        cache = VolumeCache(10**6)
        intensity = Intensity(0, 255 if dtype == "uint8" else 250, 0.5, 0.2)
        for _ in range(2):  # the second time as somebody else opens the same
            for volume in (train[0].open_image(intensity, cache), train[0].open_targets(cache)):
                cache.view(volume).read((0, 0, 0), SHAPE)
        # One chunk each of the labels, the image, and its translation where it needs one.
        assert cache.stats().misses == chunks


def test_voxel_sizes_of_a_pair_are_compared_as_lengths(tmp_path):
    image, labels = tmp_path / "a.tif", tmp_path / "l.tif"
    tifffile.imwrite(image, make_image(), metadata={"spacing": [50, 8, 8], "unit": "nm"})
    for spacing, is_equal in (([0.05, 0.008, 0.008], True), ([50, 8, 8], False)):
        tifffile.imwrite(labels, make_labels(), metadata={"spacing": spacing, "unit": "um"})
        data = Data(train=(Pair(image=str(image), labels=str(labels)),))
        if is_equal:
            assert open_pairs(data)[0][0].spacing == (50.0, 8.0, 8.0)
        else:
            with pytest.raises(DataError, match=r"50 x 8 x 8 nm but .* have 50 x 8 x 8 µm"):
                open_pairs(data)


def test_what_was_left_out_of_a_file_is_among_the_notes(tmp_path):
    image, labels = make_image(), make_labels()
    tifffile.imwrite(tmp_path / "a.tif", image[:5], photometric="minisblack")
    tifffile.imwrite(tmp_path / "a.tif", image[5:], append=True, photometric="minisblack")
    tifffile.imwrite(tmp_path / "l.tif", labels)
    pair = Pair(image=str(tmp_path / "a.tif"), labels=str(tmp_path / "l.tif"))
    train, _ = open_pairs(Data(train=(pair,)))
    assert "holds 2 pieces" in train[0].notes[0]
