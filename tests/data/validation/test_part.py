"""What is kept of the training volumes for validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_surfseg.config import Data, Labels, ValidationSlab
from napari_surfseg.data.checks import check_volumes, describe_cut, open_pairs
from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.data.phantom.settings import PhantomSettings
from napari_surfseg.data.reading_cost import count_affordable
from napari_surfseg.data.strokes.stroke_counts import count_strokes
from napari_surfseg.data.validation.part import _choose_slab, keep_out, repeat_parts
from napari_surfseg.data.validation.slabs import list_slabs
from napari_surfseg.data.volume import ArrayVolume

SLAB = ValidationSlab()


def cut_out(pair, values):
    return values[tuple(slice(a, b) for a, b in zip(*pair.roi, strict=True))]


@pytest.mark.parametrize("seed", [1, 2025])
def test_a_roll_is_cut_along_its_axis(seed, pair_of):
    """Its outermost winding, at the ends of the two longer axes, is like nothing else."""
    settings = PhantomSettings(shape=(80, 160, 160), seed=7)
    box = ScrollPhantom(settings).compute_box((0, 0, 0), settings.shape)
    parts = keep_out(pair_of(box.labels, box.image), SLAB, seed=seed)
    (kept,) = parts.validation
    assert kept.shape == (12, 160, 160)
    assert parts.train.shape == (63, 160, 160)
    assert "axis Z of image (12 of 80 planes, with a gap of 5)" in parts.train.remarks[0]


def test_of_slabs_that_are_alike_the_end_of_the_longest_axis_is_taken(pair_of):
    rng = np.random.default_rng(0)
    labels = (rng.random((64, 64, 96)) < 0.2).astype(np.uint8)
    parts = keep_out(pair_of(labels), SLAB, seed=3)
    assert parts.validation[0].roi == ((0, 0, 82), (64, 64, 96))


def test_files_of_huge_pages_are_not_searched(pair_of, sheets):
    class Paged(ArrayVolume):
        """An array that would have to be decoded page by page."""

        def read(self, start, stop):
            raise AssertionError("it was read")

    labels = sheets((64, 64, 144))
    pair = pair_of(labels)
    assert count_affordable(pair, 32, 200) == 200
    image = Paged(np.zeros((20, 20, 20), np.uint8), name="image")
    image.shape = image.chunks = (3000, 20_000, 20_000)
    pages = replace(pair, image=image)
    assert count_affordable(pages, 32, 200) == 0
    slabs = list_slabs(pair.roi, pair.census.planes, fraction=0.15)
    assert _choose_slab(pages, slabs, 0) == slabs[0]


def test_a_side_of_another_kind_is_not_taken(pair_of, sheets):
    labels = sheets((64, 64, 144))
    image = np.where(labels == 1, 150, 90).astype(np.uint8)
    image[:, :, 100:] = image[:, :, 100:] // 2  # the far end is dark
    parts = keep_out(pair_of(labels, image), SLAB, seed=0)
    assert parts.validation[0].roi[0][2] == 0


def test_a_small_crop_in_a_large_volume_is_cut_in_two(pair_of, sheets):
    labels = np.full((128, 128, 128), 2, np.uint8)
    labels[40:80, 40:80, 40:80] = sheets((40, 40, 40))
    parts = keep_out(pair_of(labels), SLAB, seed=0)
    (kept,) = parts.validation
    assert 0 < np.count_nonzero(cut_out(kept, labels) == 1) < 0.3 * 40**3
    assert kept.census.num_supervised == np.count_nonzero(cut_out(kept, labels) != 2)


def test_twelve_strokes_are_all_trained_on(pair_of, strokes):
    labels = np.full((96, 128, 128), 2, np.uint8)
    labels[32:64, 32:96, 32:96] = strokes((32, 64, 64), 12)
    pair = pair_of(labels)
    parts = keep_out(pair, SLAB, seed=0)
    assert parts.validation == []
    assert parts.train is pair


@pytest.fixture
def many(strokes):
    return strokes((128, 192, 192), 400)


def test_many_strokes_give_whole_blocks(many, pair_of):
    parts = keep_out(pair_of(many), SLAB, seed=2025)
    assert parts.validation
    targets = parts.train.open_targets().read((0, 0, 0), many.shape)
    for kept in parts.validation:
        assert all(a % 64 == 0 for a in kept.roi[0])
        assert kept.census.num_supervised == np.count_nonzero(cut_out(kept, many) != 2)
        # Nothing is trained on there, nor within the gap around.
        near = tuple(slice(max(a - 8, 0), b + 8) for a, b in zip(*kept.roi, strict=True))
        assert (targets[near] == 2).all()
    for value, count in (
        (0, parts.train.census.num_background),
        (1, parts.train.census.num_foreground),
    ):
        total = np.count_nonzero(many == value)
        kept = sum(np.count_nonzero(cut_out(part, many) == value) for part in parts.validation)
        assert kept >= 300
        assert 0.65 * total <= count <= total - kept
        assert count == np.count_nonzero(targets == value)
    assert "blocks of 64 voxels" in parts.train.remarks[0]


def test_the_choice_depends_on_the_seed_alone(many, pair_of):
    pair = pair_of(many)
    chosen = [[part.roi for part in keep_out(pair, SLAB, seed=5).validation] for _ in range(2)]
    assert chosen[0] == chosen[1]


def test_strokes_painted_into_a_kept_block_are_not_trained_on(many, pair_of):
    train = keep_out(pair_of(many), SLAB, seed=0).train
    (start, _), before = train.held_out[0], train.census.num_foreground
    painted = count_strokes(train, [(start, np.ones((4, 4, 4), np.uint8))])
    assert painted.census.num_foreground == before


def test_all_strokes_of_a_kept_block_may_be_erased(tmp_path, many):
    np.save(tmp_path / "image.npy", np.zeros(many.shape, np.uint8))
    np.save(tmp_path / "labels.npy", many)
    files = {"image": str(tmp_path / "image.npy"), "labels": str(tmp_path / "labels.npy")}
    _, validation = open_pairs(Data(train=(files,)))
    start, _ = validation[0].roi
    erased = count_strokes(validation[0], [(start, np.full((64, 64, 64), 2, np.uint8))])
    assert erased.census.num_supervised == 0


def test_a_cut_is_made_again_though_the_labels_have_grown(tmp_path, many, strokes):
    np.save(tmp_path / "image.npy", np.zeros(many.shape, np.uint8))
    np.save(tmp_path / "labels.npy", many)
    files = {"image": str(tmp_path / "image.npy"), "labels": str(tmp_path / "labels.npy")}
    data = Data(train=(files,))
    train, validation = open_pairs(data, seed=0)
    cut = describe_cut(data, train, validation)
    np.save(tmp_path / "labels.npy", strokes(many.shape, 800, seed=1))
    assert describe_cut(data, *open_pairs(data, seed=0)) != cut
    again = open_pairs(data, seed=0, cut=cut)
    assert describe_cut(data, *again) == cut
    assert [part.roi for part in again[1]] == [part.roi for part in validation]
    # Another setting asks for another cut.
    wider = Data(train=(files,), validation=ValidationSlab(fraction=0.2))
    assert describe_cut(wider, *open_pairs(wider, seed=0, cut=cut)) != cut


def test_a_run_that_began_without_validation_stays_without(many, pair_of):
    pair = pair_of(many)
    parts = repeat_parts(pair, {"train": pair.roi, "held_out": [], "validation": []})
    assert parts.validation == []
    assert parts.train.census.num_foreground == pair.census.num_foreground


def test_strokes_with_no_value_for_not_annotated_cannot_be_kept(strokes):
    labels = strokes((96, 128, 128), 200)
    image = np.where(labels == 2, 0, 100).astype(np.uint8)
    labels[labels == 2] = 0
    volumes = ArrayVolume(image, name="image"), ArrayVolume(labels, name="labels")
    pair = check_volumes(*volumes, Data(labels=Labels(ignore=()), void_value=0), role="train")
    assert keep_out(pair, SLAB, seed=0).validation == []
