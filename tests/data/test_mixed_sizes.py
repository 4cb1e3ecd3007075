"""Volumes of one run whose voxels differ, or say nothing: one size, or a refusal."""

from dataclasses import replace

import numpy as np
import pytest

from napari_surfseg.config import Data, Pair
from napari_surfseg.data.checks import open_pairs
from napari_surfseg.data.mixed_sizes import check_sizes, make_alike
from napari_surfseg.data.resampling import KnownVoxels, choose_resampling
from napari_surfseg.errors import DataError


@pytest.fixture
def save(tmp_path):
    """Write a pair of a shape; its voxel size is what the pair says, or nothing."""

    def write(name, spacing=None, shape=(24, 24, 24), **options):
        image = np.random.default_rng(0).integers(1, 250, shape).astype(np.uint8)
        labels = np.zeros(shape, np.uint8)
        labels[:, :, ::6] = 1
        for kind, array in (("image", image), ("labels", labels)):
            np.save(tmp_path / f"{name}_{kind}.npy", array)
        return Pair(
            image=str(tmp_path / f"{name}_image.npy"),
            labels=str(tmp_path / f"{name}_labels.npy"),
            spacing=spacing,
            **options,
        )

    return write


def opened(*pairs, validation=None, units=None, **settings):
    more = {} if validation is None else {"validation": validation}
    train, scored = open_pairs(Data(train=pairs, **more, **settings))
    for pair, unit in zip(train, units or [], strict=False):
        pair.image.units = unit
    return [*train, *scored]


def seen(pairs, mode="auto", known=None):
    each = [
        replace(pair, resampling=choose_resampling(pair.image, mode, known)[0]) for pair in pairs
    ]
    alike, notes = make_alike(each, known)
    return [tuple(np.round(pair.seen_spacing, 6)) for pair in alike], notes


def test_the_smaller_part_is_resampled_to_the_size_of_most_voxels(save):
    pairs = opened(
        save("a", (2, 1, 1), (16, 16, 16)), save("b", (1, 1, 1)), save("c", (1.05, 1, 1)),
        validation=(save("v", (0.5, 0.5, 0.5)),),
    )  # fmt: skip
    sizes, notes = seen(pairs)
    assert sizes == [(1, 1, 1), (1, 1, 1), (1.05, 1, 1), (1, 1, 1)]
    assert len(notes) == 2
    assert notes[0].startswith("The voxels of a_image.npy are 2 x 1 x 1, those of b_image.npy")


def test_what_the_network_was_trained_on_decides(save):
    # The second is near enough for a run of its own, not beside the first.
    pairs = opened(save("a", (4, 2, 2)), save("b", (2.4, 2, 2)), units=["micrometer"] * 2)
    sizes, notes = seen(pairs, known=KnownVoxels((2.0, 2.0, 2.0), "micrometer"))
    assert sizes[:2] == [(2, 2, 2), (2, 2, 2)]
    assert "those of the network to start from 2 x 2 x 2 µm" in notes[0]


def test_units_count(save):
    pairs = opened(
        save("a", (0.5, 0.5, 0.5)), save("b", (500, 500, 500)), save("c", (1, 1, 1)),
        units=["micrometer", "nanometer", "micrometer"],
    )  # fmt: skip
    sizes, notes = seen(pairs)
    assert sizes[1:3] == [(500, 500, 500), (0.5, 0.5, 0.5)]
    assert len(set(notes)) == 1


def test_a_volume_that_says_nothing_takes_the_size_of_the_others_and_says_so(save):
    train, _ = open_pairs(Data(train=(save("a"), save("b", (2, 1, 1)), save("c", (2.1, 1, 1)))))
    assert train[0].spacing == (2, 1, 1)
    assert "says no voxel size; it is taken to have that of b_image.npy" in train[0].notes[-1]
    train, _ = open_pairs(Data(train=(save("a"), save("b", (2, 1, 1)), save("c"))))
    assert "2 volumes, " in train[0].notes[-1]
    assert not train[2].notes
    assert train[2].spacing == (2, 1, 1)
    train, _ = open_pairs(Data(train=(save("a"), save("b"))))
    assert train[0].spacing == (1, 1, 1)


@pytest.mark.parametrize(
    ("sizes", "settings", "said"),
    [
        (
            [None, (1, 1, 1), (3, 1, 1)],
            {},
            "a_image.npy says no voxel size, and those of the other",
        ),
        ([(1, 1, 1), (3, 1, 1)], {"resample": "none"}, "must agree to 10%, or be resampled"),
    ],
)
def test_what_cannot_share_a_run_is_refused(save, sizes, settings, said):
    pairs = [save(name, size) for name, size in zip("abc", sizes, strict=False)]
    with pytest.raises(DataError, match=said):
        opened(*pairs, **settings)


def test_a_size_for_all_needs_one_unit(save):
    pairs = opened(save("a", (1, 1, 1)), save("b", (3, 1, 1)), units=["micrometer", "nanometer"])
    with pytest.raises(
        DataError, match=r"is in micrometer and .*b_image\.npy in nanometer"
    ) as caught:
        check_sizes(pairs, Data(resample=(1, 1, 1)))
    assert caught.value.field == "data.resample"


def test_too_far_apart_is_refused(save):
    pairs = opened(save("a", (1, 1, 1)), save("b", (30, 1, 1), (12, 24, 24)))
    with pytest.raises(DataError, match="too far apart to be resampled"):
        seen(pairs)
