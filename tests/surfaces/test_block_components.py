"""Components over blocks against those of the whole mask, labelled at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices, iterate_blocks, whole_box
from napari_surfseg.surfaces import block_components
from napari_surfseg.surfaces.block_components import BlockComponents, at_least, find_structure

sizes3 = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
edges3 = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7))


def keep_by_blocks(mask, block, rule, connectivity=26, marks=None):
    components = BlockComponents(mask.shape, rule, connectivity)
    boxes = [(start, box_slices((start, stop))) for start, stop in blocks_of(mask, block)]
    for start, where in boxes:
        components.add(start, mask[where], None if marks is None else marks[where])
    kept = np.zeros(mask.shape, bool)
    for start, where in boxes:
        kept[where] = components.keep(start, mask[where], None if marks is None else marks[where])
    return kept, components


def blocks_of(mask, block):
    return iterate_blocks(whole_box(mask.shape), block)


def snake(shape=(9, 9, 9)):
    """A thread of one voxel that goes through the whole volume, row by row and plane by plane."""
    mask = np.zeros(shape, bool)
    mask[::2, ::2] = True
    for z in range(0, shape[0], 2):
        for y in range(1, shape[1], 2):
            mask[z, y, -1 if y % 4 == 1 else 0] = True
    for z in range(1, shape[0], 2):
        mask[z, -1 if z % 4 == 1 else 0, -1 if z % 4 == 1 else 0] = True
    assert ndimage.label(mask)[1] == 1
    return mask


@settings(max_examples=80, deadline=None)
@given(
    sizes3,
    edges3,
    st.floats(0.02, 0.9),
    st.integers(1, 30),
    st.sampled_from([6, 18, 26]),
    st.integers(0, 2**32 - 1),
)
def test_blocks_agree_with_the_whole(shape, block, density, min_voxels, connectivity, seed):
    rng = np.random.default_rng(seed)
    mask, marks = rng.random(shape) < density, rng.random(shape) < 0.1

    def rule(sizes, marked):
        return (sizes >= min_voxels) | marked

    kept, components = keep_by_blocks(mask, block, rule, connectivity, marks & mask)
    labels, number = ndimage.label(mask, find_structure(connectivity))
    chosen = np.bincount(labels.ravel(), minlength=number + 1) >= min_voxels
    chosen[labels[marks & mask]] = True
    chosen[0] = False
    assert np.array_equal(kept, chosen[labels])
    assert components.num_dropped == number - chosen.sum()


@pytest.mark.parametrize("block", [(9, 9, 9), (2, 2, 2), (1, 1, 1), (1, 9, 9), (3, 4, 5)])
def test_a_snake_through_all_blocks_is_one_component(block):
    mask = snake()
    size = int(mask.sum())
    assert np.array_equal(keep_by_blocks(mask, block, at_least(size), 6)[0], mask)
    assert not keep_by_blocks(mask, block, at_least(size + 1), 6)[0].any()


def test_a_large_plane_of_labels_lies_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(block_components, "PLANE_BYTES", 100)
    mask = snake()
    components = BlockComponents(mask.shape, at_least(int(mask.sum())), 6, tmp_path / "labels")
    boxes = [(start, box_slices((start, stop))) for start, stop in blocks_of(mask, (2, 4, 5))]
    for start, where in boxes:
        components.add(start, mask[where])
    assert len(list((tmp_path / "labels").iterdir())) == 2
    assert all(np.array_equal(components.keep(start, mask[at]), mask[at]) for start, at in boxes)


def test_a_mark_is_heard_ten_blocks_away():
    mask = np.ones((1, 1, 40), bool)
    mask[0, 0, 33] = False
    marks = np.zeros_like(mask)
    marks[0, 0, 0] = True
    kept, _ = keep_by_blocks(mask, (1, 1, 3), lambda _, marked: marked, marks=marks)
    assert kept[0, 0].tolist() == [True] * 33 + [False] * 7


def test_what_ends_within_its_block_is_forgotten():
    mask = np.zeros((8, 8, 400), bool)
    mask[2:4, 2:4, 1::3] = True
    components = BlockComponents(mask.shape, at_least(2))
    for start, stop in blocks_of(mask, (8, 8, 40)):
        components.add(start, mask[box_slices((start, stop))])
    assert sum(map(len, components._sizes)) < 10
    assert components.num_dropped == 0


def test_noise_without_end_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(block_components, "MAX_COMPONENTS", 5)
    mask = np.zeros((4, 40, 40), bool)
    mask[:, ::2, ::2] = True
    components = BlockComponents(mask.shape, at_least(2))
    with pytest.raises(DataError, match=r"More than 5 pieces .* choose a higher one"):
        components.add((0, 0, 0), mask[:2])


def test_unknown_connectivity_is_refused():
    with pytest.raises(ValueError, match="6, 18 or 26"):
        BlockComponents((3, 3, 3), at_least(2), 8)
