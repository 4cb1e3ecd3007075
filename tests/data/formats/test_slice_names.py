"""The kinds of folders of slices that people bring: gaps, several stacks, other images."""

import numpy as np
import pytest
import tifffile

from napari_surfseg.data.formats.slice_names import check_slice_names, natural_key
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError


def count(pattern, numbers):
    return [pattern.format(number) for number in numbers]


NO_GAPS = {
    "from 0": count("slice_{:04d}", range(12)),
    "from 1, no zeros in front": count("s{}", range(1, 13)),
    "from anywhere": count("x_{:05d}", range(700, 712)),
    "every tenth": count("s_{:04d}", range(0, 120, 10)),
    "a date in front": count("20240131_scan2_{:03d}", range(12)),
    "a time of its own": [f"s{z:03d}_{20240131120000 + 17 * z * z}" for z in range(12)],
    "another number that counts": [f"s{z:03d}_x{7 * z * z + z}" for z in range(12)],
    "a place in micrometres": count("slice_z={:.4f}um", np.arange(12) * 0.2),
    "places and numbers": [f"slice_{z:05d}_z={z / 4:.2f}um" for z in range(12)],
    "times only": [str(20240131120000 + 17 * z * z) for z in range(5)],
    "letters": ["bottom", "middle", "top"],
    "one": ["slice_7"],
    "one without a number": ["slice"],
    "a point before the number": count("stack.{:04d}", range(5)),
}


@pytest.mark.parametrize("name", NO_GAPS)
def test_nothing_to_say(name):
    stems = sorted(NO_GAPS[name], key=natural_key)
    assert check_slice_names(stems, "f") == []


NOTED = {
    "one missing": (count("s_{:04d}", [0, 1, 2, 3, 4, 6, 7]), "number 0 and 7 (5)"),
    "two missing": (count("s_{}", [1, 2, 5, 6]), "number 1 and 6 (3 and 4)"),
    "one of every tenth": (count("s_{}", [0, 10, 30, 40]), "(20)"),
    "many missing": (count("s_{}", [*range(9), *range(900, 909)]), "13, 14 and 885 more"),
    "one missing beside a date": (count("20240131_{}", [1, 2, 4]), "(3)"),
    "one named otherwise": ([*count("s_{}", range(9)), "overview"], "otherwise than its 9 files"),
    "two halves": (
        [*count("a_{}", range(5)), *count("b_{}", range(5, 10))],
        "5 files named otherwise",
    ),
    "numbered in two places": (["1_1", "1_2", "1_3", "2_1", "3_1", "4_1"], "in 2 places"),
}


@pytest.mark.parametrize("name", NOTED)
def test_what_is_said(name):
    stems, note = NOTED[name]
    assert note in " ".join(check_slice_names(sorted(stems, key=natural_key), "f"))


REFUSED = {
    "channels by name": count("dapi_{}", range(5)) + count("gfp_{}", range(5)),
    "one channel longer": count("ch_a_{:03d}", range(9)) + count("ch_b_{:03d}", range(7)),
    "three channels": [f"{c}_{z}" for c in "rgb" for z in range(4)],
    "channels by number": [f"z{z:03d}_c{c}" for c in range(2) for z in range(6)],
    "channels by number in front": [f"ch{c:02d}_{z:03d}" for c in range(3) for z in range(6)],
    "time points, one slice missing": [f"t{t}_z{z}" for t in range(2) for z in range(6)][1:],
}


@pytest.mark.parametrize("name", REFUSED)
def test_several_stacks_in_one_folder_are_refused(name):
    stems = sorted(REFUSED[name], key=natural_key)
    with pytest.raises(DataError, match=r"The folder f holds .* in a folder of their own\.$"):
        check_slice_names(stems, "f")


def test_a_gap_reaches_the_volume(tmp_path, make_values):
    values = make_values("uint16", (5, 6, 7))
    for z in (0, 1, 3, 4):
        tifffile.imwrite(tmp_path / f"s_{z}.tif", values[z])
    volume = open_volume(tmp_path)
    assert volume.shape == (4, 6, 7)
    assert "(2)" in volume.notes[0]
    np.testing.assert_array_equal(volume.read(*volume.box), values[[0, 1, 3, 4]])


@pytest.mark.parametrize("is_first", [True, False])
def test_a_thumbnail_in_each_slice_is_left_out(tmp_path, is_first, make_values):
    values = make_values("uint16", (5, 6, 7))
    for z in range(5):
        images = [values[z], np.zeros((3, 3), np.uint8)]
        for number, image in enumerate(images[::-1] if is_first else images):
            tifffile.imwrite(tmp_path / f"s_{z}.tif", image, append=number > 0)
    volume = open_volume(tmp_path)
    np.testing.assert_array_equal(volume.read(*volume.box), values)
    assert volume.notes[0].startswith("5 of the slices")


@pytest.mark.parametrize("metadata", [None, {}])
def test_a_slice_of_two_pages_is_refused(tmp_path, metadata, make_values):
    for page in make_values("uint16", (2, 6, 7)):
        tifffile.imwrite(tmp_path / "s_0.tif", page, append=True, metadata=metadata)
    with pytest.raises(DataError, match="a slice must be a single grey image"):
        open_volume(tmp_path)
