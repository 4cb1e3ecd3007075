"""Labels that lie in a few places of a volume of any size."""

import time

import numpy as np
import pytest
import zarr

from napari_surfseg.config import Data, Labels, Pair
from napari_surfseg.data import census as census_module
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.census import restrict_census, take_census
from napari_surfseg.data.checks import check_volumes, open_pairs
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.patches.loader import PatchLoader
from napari_surfseg.data.patches.sampling import PatchSampler
from napari_surfseg.data.phantom.sparse import spread_corners, write_sparse_pair
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError, LabelError

HUGE = (20000, 20000, 20000)
#: 0 is not annotated.
STROKES = Labels(foreground=(1,), background=(2,), ignore=(0,))
#: 0 is background.
MASK = Labels(foreground=(1,), background=(0, 2), ignore=(3,))


def make_pair(folder, count, **options):
    options = {"shape": HUGE, "edge": 32, "chunk": 32, **options}
    corners = spread_corners(options["shape"], options["edge"], count, align=options["edge"])
    paths = write_sparse_pair(folder, corners=corners, **options)
    return *map(str, paths), corners


def sparse(tmp_path, mapping=STROKES, **options):
    image, labels, _ = make_pair(tmp_path, 12, **options)
    return open_volume(image), open_volume(labels)


@pytest.mark.parametrize("options", [{}, {"shard": 128}], ids=str)
def test_a_volume_of_terabytes_costs_what_it_holds(tmp_path, options):
    image, labels, corners = make_pair(tmp_path, 12, **options)
    begun = time.process_time()
    data = Data(train=(Pair(image=image, labels=labels),), labels=STROKES)
    train, validation = open_pairs(data)
    intensity = compute_intensity([pair.image for pair in train])
    assert time.process_time() - begun < 10
    assert intensity.std > 0.1
    pairs = [*train, *validation]
    assert sum(pair.census.num_supervised for pair in pairs) == pytest.approx(12 * 32**3, rel=0.1)
    assert all(pair.census.num_foreground for pair in pairs)
    for pair in pairs:  # every place can be drawn from
        sampler = PatchSampler([pair], [pair.open_targets()], foreground_share=0.5, seed=1)
        drawn = {
            tuple(a // 32 * 32 for a in sampler.draw(i, np.random.default_rng(i)).voxel)
            for i in range(200)
        }
        places = {tuple(c) for c in corners.tolist() if pair.roi[0][0] <= c[0] < pair.roi[1][0]}
        assert drawn == places


@pytest.mark.parametrize("mapping", [STROKES, MASK])
@pytest.mark.parametrize("box", [None, ((5, 0, 40), (290, 300, 300))])
def test_a_list_of_chunks_gives_the_counts_of_a_walk(tmp_path, monkeypatch, mapping, box):
    monkeypatch.setattr(census_module, "UNIT_VOXELS", 2**12)
    shape = (300, 300, 300)
    _, path, _ = make_pair(tmp_path, 9, shape=shape, edge=40, chunk=48)
    labels = open_volume(path)
    found = take_census(labels, mapping, box=box)
    walked = take_census(ArrayVolume(labels.read((0, 0, 0), shape)), mapping, box=box)
    np.testing.assert_array_equal(found.blocks.dense(), walked.blocks.dense())
    for axis in range(3):
        np.testing.assert_array_equal(found.planes[axis], walked.planes[axis])
    assert found.num_visited == walked.num_visited
    assert found.num_background == walked.num_background
    # The same where all that is not stored is one number instead of a list of blocks.
    monkeypatch.setattr(census_module, "MAX_BLOCKS", 10)
    summed = take_census(labels, mapping, box=box)
    assert summed.num_background == walked.num_background
    assert bool(summed.num_rest) == (mapping is MASK)
    for axis, span in ((0, (70, 200)), (2, (64, 290))):
        low, high = map(list, found.box)
        low[axis], high[axis] = span
        cut = tuple(low), tuple(high)
        part = restrict_census(summed, cut, labels, mapping)
        alone = take_census(ArrayVolume(labels.read((0, 0, 0), shape)), mapping, box=cut)
        assert part.num_background == alone.num_background
        assert part.num_foreground == alone.num_foreground
        np.testing.assert_array_equal(part.planes[axis], alone.planes[axis])


def test_what_was_never_written_is_drawn_from_where_it_means_background(tmp_path):
    image, labels = sparse(tmp_path)
    pair = check_volumes(image, labels, Data(labels=MASK), role="train")
    assert pair.census.num_background + pair.census.num_foreground == 20000**3
    assert any("never written and counts as background" in note for note in pair.notes)
    sampler = PatchSampler([pair], [pair.open_targets()], foreground_share=0, seed=1)
    places = [sampler.draw(i, np.random.default_rng(i)).voxel for i in range(20)]
    assert np.ptp(places, axis=0).min() > 10_000


def test_a_value_without_meaning_that_was_never_written_is_refused(tmp_path):
    image, labels = sparse(tmp_path)
    mapping = Labels(foreground=(1,), background=(2,), ignore=())
    with pytest.raises(LabelError, match=r"0 \(7,9"):
        check_volumes(image, labels, Data(labels=mapping), role="train")


def test_no_chunk_at_all_is_one_sentence(tmp_path):
    for name in ("image", "labels"):
        zarr.create_array(str(tmp_path / f"{name}.zarr"), shape=HUGE, chunks=(64,) * 3, dtype="u1")
    image, labels = (open_volume(tmp_path / f"{name}.zarr") for name in ("image", "labels"))
    with pytest.raises(LabelError, match=r"has no annotated voxels: all 8,000,000,000,000"):
        check_volumes(image, labels, Data(labels=STROKES), role="train")


def test_what_is_too_much_to_count_is_drawn_from_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(census_module, "MAX_VOXELS", 4 * 32**3)
    monkeypatch.setattr(census_module, "SPARSE_VOXELS", 32**3)
    image, path, corners = make_pair(tmp_path, 12)
    pair = check_volumes(open_volume(image), open_volume(path), Data(labels=STROKES), role="train")
    assert len(pair.census.uncounted) == 8
    assert pair.census.num_supervised == pytest.approx(4 * 32**3, abs=1)
    assert pair.census.weight == pytest.approx(12 * 32**3, rel=0.2)
    assert any("4 of its 12 stored parts were counted" in note for note in pair.notes)
    targets = pair.open_targets()
    sampler = PatchSampler([pair], [targets], foreground_share=0.5, seed=1)
    drawn = {
        tuple(a // 32 * 32 for a in sampler.draw(i, np.random.default_rng(i)).voxel)
        for i in range(300)
    }
    assert drawn == {tuple(corner) for corner in corners.tolist()}
    box = pair.census.uncounted.box(0, pair.image.box)
    zarr.open_array(path, mode="r+")[tuple(slice(a, a + 1) for a in box[0])] = 9  # no meaning
    assert targets.read(*box)[0, 0, 0] == 2
    assert targets.unknown == {9: 1}


def test_the_places_that_take_most_bytes_are_counted_first(tmp_path, monkeypatch):
    """Chunks of one value are small on disk, so the few that hold strokes are found."""
    shape, chunk = (512, 512, 512), 32
    labels = zarr.create_array(
        str(tmp_path / "labels.zarr"), shape=shape, chunks=(chunk,) * 3, dtype="u1", fill_value=7
    )
    labels[:256] = 0  # written, and not annotated
    corners = spread_corners((256, 512, 512), chunk, 5, align=chunk)
    rng = np.random.default_rng(0)
    for corner in corners.tolist():
        labels[tuple(slice(a, a + chunk) for a in corner)] = rng.integers(1, 3, (chunk,) * 3)
    monkeypatch.setattr(census_module, "UNIT_VOXELS", chunk**3)
    volume = open_volume(tmp_path / "labels.zarr")
    mapping = Labels(foreground=(1,), background=(2,), ignore=(0, 7))
    census = take_census(volume, mapping, max_voxels=40 * chunk**3)
    assert census.num_supervised == 5 * chunk**3


def test_chunks_that_cannot_be_read_are_left_out_and_named(tmp_path):
    image, path, corners = make_pair(tmp_path, 12)
    index = (corners[3] // 32).tolist()
    (tmp_path / "labels.zarr" / "c" / "/".join(map(str, index))).write_bytes(b"damaged")
    pair = check_volumes(open_volume(image), open_volume(path), Data(labels=STROKES), role="train")
    assert pair.census.num_supervised == 11 * 32**3
    (note,) = (note for note in pair.notes if "cannot be read" in note)
    assert "1 in number" in note
    assert str(tuple(index)) in note


def test_patches_of_a_server_stay_near_each_other_and_reach_everything(tmp_path):
    image, path, corners = make_pair(tmp_path, 12, edge=64, chunk=64)
    pair = check_volumes(open_volume(image), open_volume(path), Data(labels=STROKES), role="train")
    targets = pair.open_targets()

    def draw(count):
        sampler = PatchSampler([pair], [targets], foreground_share=0.5, seed=1)
        places = [sampler.draw(i, np.random.default_rng([1, i])) for i in range(count)]
        for place in places:
            assert targets.read(place.voxel, tuple(a + 1 for a in place.voxel)) == place.centred
        return [tuple(a // 64 for a in place.voxel) for place in places]

    def count_fetched(places):
        """Chunks that were not among the last sixteen patches' ones."""
        return sum(place not in places[max(0, i - 16) : i] for i, place in enumerate(places))

    alone = count_fetched(draw(64))
    pair.image.reads_at_once = 8
    near = draw(64)
    assert count_fetched(near) <= 10 < alone
    assert len(set(near[:4])) > 1  # beside one another in the stream they lie apart
    assert set(draw(1000)) == {tuple(corner) for corner in (corners // 64).tolist()}


@pytest.mark.parametrize("volume", ["image", "labels"])
def test_a_damaged_chunk_costs_its_patches_and_is_reported(tmp_path, volume):
    image, path, corners = make_pair(tmp_path, 12, edge=64, chunk=64)
    pair = check_volumes(open_volume(image), open_volume(path), Data(labels=STROKES), role="train")
    data = Data(labels=STROKES, patch_size=(16, 16, 16))
    index = (corners[3] // 64).tolist()
    chunk = tmp_path / f"{volume}.zarr/c" / "/".join(map(str, index))
    whole = chunk.read_bytes()
    options = {"batch_size": 4, "seed": 1, "workers": 0}
    intensity = compute_intensity([pair.image])

    def read(count):
        with PatchLoader([pair], data, intensity, cache=VolumeCache(2**26), **options) as loader:
            batches = [next(loader) for _ in range(count)]
            return batches, loader.take_warnings()

    before, warnings = read(12)
    assert warnings == []
    chunk.write_bytes(b"damaged")
    after, warnings = read(12)
    (warning,) = warnings
    assert str(tuple(index)) in warning
    assert warning.endswith("replaced.")
    assert all(len(batch.sources) == 4 for batch in after)
    inside = np.array(corners[3])
    same = other = 0
    for old, new in zip(before, after, strict=True):
        for i, start in enumerate(old.starts):
            is_hit = (np.abs(np.array(start) + 8 - inside - 32) < 40).all()
            is_same = start == new.starts[i] and (old.image[i] == new.image[i]).all()
            same += is_same
            other += is_hit and not is_same
    assert other > 0
    assert same + other == 48
    for corner in corners.tolist():
        each = tmp_path / f"{volume}.zarr/c" / "/".join(str(a // 64) for a in corner)
        each.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"patches could not be read, which is too many"):
        read(1)
    chunk.write_bytes(whole)
