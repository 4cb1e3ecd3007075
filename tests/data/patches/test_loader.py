"""The loader: repeatable, in order, prompt to stop, and true to its figures."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from napari_surfseg.config import Augmentation, Data, Labels, Pair
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import check_volumes, open_pairs
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.patches.loader import PatchLoader, unique_names
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError
from napari_surfseg.model.intensity import Intensity

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
PLAIN = Augmentation(symmetries=False, intensity=0, noise=0)
INTENSITY = Intensity(0, 255, 0.5, 0.25)


def make_pair(shape=(40, 44, 48), surface=0.2, name="a", **options):
    """An image whose grey value says what the label is: 10, 20 or 30 for 0, 1 or 2."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, shape, p=(0.9 - surface, surface, 0.1)).astype(np.uint8)
    image = 10 + 10 * labels
    data = Data(**options)
    return check_volumes(ArrayVolume(image, name=name), ArrayVolume(labels), data, role="train")


def make_loader(pairs=None, *, workers=0, batch_size=2, seed=3, start_step=0, **options):
    options.setdefault("patch_size", (16, 16, 16))
    return PatchLoader(
        pairs or [make_pair()],
        Data(**options),
        INTENSITY,
        batch_size=batch_size,
        seed=seed,
        workers=workers,
        cache=VolumeCache(10**7),
        start_step=start_step,
    )


def take(loader, count):
    with loader:
        return [next(loader) for _ in range(count)]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert a.sources == b.sources
        assert a.centred == b.centred
        assert a.starts == b.starts


def test_batches_look_as_agreed():
    (batch,) = take(make_loader(batch_size=3, patch_size=(8, 16, 24)), 1)
    assert batch.image.shape == batch.labels.shape == (3, 1, 8, 16, 24)
    assert batch.image.dtype == batch.labels.dtype == np.uint8
    assert set(np.unique(batch.labels)) == {0, 1, 2}
    assert len(batch.sources) == len(batch.centred) == len(batch.starts) == 3


def test_image_and_labels_are_turned_alike():
    batches = take(make_loader(augmentation=Augmentation(intensity=0, noise=0)), 10)
    for batch in batches:
        np.testing.assert_array_equal(batch.image, 10 + 10 * batch.labels)


def test_the_centre_is_as_said_after_every_symmetry():
    pair = make_pair((60, 60, 60), surface=0.02)
    for batch in take(make_loader([pair], patch_size=(16, 16, 16)), 100):
        for i, start in enumerate(batch.starts):
            if all(0 < a < 44 for a in start):  # not moved to stay inside
                assert (batch.labels[i, 0, 8, 8, 8] == 1) == batch.centred[i]


@pytest.mark.parametrize("surface", [0.02, 0.2])
def test_the_share_asked_is_the_share_reached(surface):
    loader = make_loader([make_pair(surface=surface)], batch_size=1)
    take(loader, 10)
    stats = loader.epoch_stats()
    assert stats["foreground_centred_share"] == pytest.approx(0.65, abs=0.06)
    loader = make_loader([make_pair(surface=surface)], batch_size=2)
    take(loader, 100)
    assert loader.epoch_stats()["foreground_centred_share"] == pytest.approx(0.65, abs=0.006)


def test_workers_do_not_change_the_stream():
    alone = take(make_loader(workers=0), 12)
    for workers in (1, 3):
        assert_same(alone, take(make_loader(workers=workers), 12))


def test_seeds_do():
    first, second = take(make_loader(seed=1), 1)[0], take(make_loader(seed=2), 1)[0]
    assert np.any(first.image != second.image)


def test_a_resumed_stream_continues():
    whole = take(make_loader(workers=2), 10)
    loader = make_loader(workers=2, start_step=6)
    assert loader.step == 6
    assert_same(whole[6:], take(loader, 4))
    assert loader.step == 10


def test_patches_differ():
    batches = take(make_loader(batch_size=4), 20)
    assert len({patch.tobytes() for batch in batches for patch in batch.image}) == 80


def test_small_volumes_are_padded():
    pair = make_pair((10, 44, 20))
    loader = make_loader([pair], augmentation=PLAIN, patch_size=(16, 16, 32))
    for batch in take(loader, 5):
        for i, (z, _, x) in enumerate(batch.starts):
            labels, image = batch.labels[i, 0], batch.image[i, 0]
            inside = np.s_[-z : 10 - z, :, -x : 20 - x]
            np.testing.assert_array_equal(image[inside], 10 + 10 * labels[inside])
            outside = np.ones(labels.shape, bool)
            outside[inside] = False
            assert np.all(labels[outside] == 2)
            if z < 0:
                np.testing.assert_array_equal(image[-z - 1], image[-z + 1])  # mirrored


def test_nothing_outside_the_region_is_seen():
    labels = np.zeros((20, 20, 60), np.uint8)
    labels[:, :, ::5] = 1
    image = np.full(labels.shape, 50, np.uint8)
    image[:, :, 30:] = 200
    pair = check_volumes(
        ArrayVolume(image),
        ArrayVolume(labels),
        Data(),
        role="train",
        roi=((0, 20), (0, 20), (0, 30)),
    )
    for batch in take(make_loader([pair], augmentation=PLAIN), 20):
        assert batch.image.max() == 50


def test_void_is_ignored():
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[::3] = 1
    image = np.full(labels.shape, 50, np.uint8)
    image[:, :15] = 0
    data = Data(void_value=0)
    pair = check_volumes(ArrayVolume(image), ArrayVolume(labels), data, role="train")
    for batch in take(make_loader([pair], augmentation=PLAIN), 5):
        np.testing.assert_array_equal(batch.labels == 2, batch.image == 0)


def test_stats_count_what_was_delivered():
    pairs = [make_pair(name="a"), make_pair((40, 44, 96), name="a"), make_pair(name="b")]
    loader = make_loader(pairs, workers=2)
    batches = take(loader, 15)
    stats = loader.epoch_stats(reset=False)
    labels = np.concatenate([batch.labels for batch in batches])
    assert stats["num_patches"] == 30
    assert stats["foreground_fraction"] == pytest.approx(np.mean(labels == 1))
    assert stats["ignored_fraction"] == pytest.approx(np.mean(labels == 2))
    centred = [one for batch in batches for one in batch.centred]
    assert stats["foreground_centred_share"] == pytest.approx(np.mean(centred))
    sources = np.bincount([one for batch in batches for one in batch.sources], minlength=3)
    assert stats["sources"] == dict(zip(("a (1)", "a (2)", "b"), sources.tolist(), strict=True))
    assert stats["wait_seconds"] >= 0
    assert loader.epoch_stats()["num_patches"] == 30
    assert loader.epoch_stats()["num_patches"] == 0
    assert loader.cache_stats().hits > 0


def test_names_are_told_apart():
    assert unique_names(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]


class Slow(ArrayVolume):
    """Waits in every read until let go."""

    def __init__(self, array):
        super().__init__(array)
        self.gate = threading.Event()
        self.busy = threading.Event()

    def _read_box(self, start, stop):
        self.busy.set()
        self.gate.wait(20)
        return super()._read_box(start, stop)


def test_close_does_not_wait_for_a_slow_read():
    pair = make_pair()
    slow = Slow(np.zeros(pair.image.shape, np.uint8))
    loader = make_loader([type(pair)(**{**vars(pair), "image": slow})], workers=2)
    assert slow.busy.wait(10)
    begun = time.monotonic()
    loader.close()
    loader.close()
    assert time.monotonic() - begun < 5
    with pytest.raises(StopIteration):
        next(loader)
    slow.gate.set()


def test_close_lets_a_waiting_reader_go():
    pair = make_pair()
    slow = Slow(np.zeros(pair.image.shape, np.uint8))
    loader = make_loader([type(pair)(**{**vars(pair), "image": slow})], workers=1)
    ended = threading.Event()

    def wait():
        with pytest.raises(StopIteration):
            next(loader)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert slow.busy.wait(10)
    loader.close()
    assert ended.wait(10)
    slow.gate.set()
    thread.join()


def test_no_more_is_prepared_than_asked():
    loader = make_loader(workers=2)
    next(loader)
    deadline = time.monotonic() + 10
    while loader.num_ready < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert loader.num_ready == 4
    loader.close()


class Broken(ArrayVolume):
    """Fails from some read on."""

    reads = 0

    def _read_box(self, start, stop):
        type(self).reads += 1
        if type(self).reads > 3:
            raise OSError("the disk is gone")
        return super()._read_box(start, stop)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_is_raised_as_itself(workers):
    Broken.reads = 0
    shape = (40, 44, 300)
    labels = (np.random.default_rng(0).random(shape) < 0.1).astype(np.uint8)
    image = Broken(np.zeros(shape, np.uint8), name="a.tif")
    pair = check_volumes(image, ArrayVolume(labels), Data(), role="train")
    loader = make_loader([pair], workers=workers)
    with pytest.raises(DataError, match=r"a\.tif cannot be read .* \(the disk is gone\)\.$"):
        consume(loader)
    with pytest.raises(StopIteration):
        next(loader)
    for thread in loader._threads:
        thread.join(10)
        assert not thread.is_alive()


def consume(loader):
    for _ in range(50):
        next(loader)


def test_grey_values_and_noise_vary_the_image_alone():
    changed = take(make_loader(augmentation=Augmentation(symmetries=False)), 3)
    plain = take(make_loader(augmentation=PLAIN), 3)
    for a, b in zip(changed, plain, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        assert np.any(a.image != b.image)


def test_strokes_only():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[20, 10, 5:35] = 1
    labels[20, 30, 5:35] = 2
    mapping = Labels(foreground=(1,), background=(2,), ignore=(0,))
    data = Data(labels=mapping)
    pair = check_volumes(
        ArrayVolume(np.arange(64000).reshape(40, 40, 40).astype(np.uint8)),
        ArrayVolume(labels),
        data,
        role="train",
    )
    for batch in take(make_loader([pair], batch_size=1), 30):
        assert np.any(batch.labels != 2)  # no patch is without annotation


def test_real_volumes():
    folder = SHARED / "fibsem_gala"
    if not folder.exists():
        pytest.skip("the shared sample volumes are not beside this checkout")
    pair = Pair(image=str(folder / "train_image.tif"), labels=str(folder / "train_membrane.tif"))
    data = Data(train=(pair,))
    train, _ = open_pairs(data)
    intensity = compute_intensity([train[0].image], boxes=[train[0].roi])
    loader = PatchLoader(
        train, data, intensity, batch_size=2, seed=0, workers=2, cache=VolumeCache(2**27)
    )
    batches = take(loader, 20)
    stats = loader.epoch_stats()
    assert batches[0].image.shape == (2, 1, 64, 64, 64)
    assert stats["foreground_centred_share"] == pytest.approx(0.65, abs=0.03)
    # 14 of 64 slices are padding.
    assert stats["ignored_fraction"] == pytest.approx(14 / 64)


def test_nothing_is_cut_while_it_is_held():
    with make_loader(workers=2) as loader:
        next(loader)
        with loader.held():
            ready = loader.num_ready
            for _ in range(ready):
                next(loader)
            time.sleep(0.05)
            assert loader.num_ready == 0
        assert len(next(loader).sources) == 2


def test_a_held_loader_can_be_closed():
    loader = make_loader(workers=1)
    with loader.held():
        loader.close()
    with pytest.raises(StopIteration):
        next(loader)


def test_a_recount_draws_by_the_new_counts_and_keeps_the_share():
    """All surface but one voxel is taken out of the counts: every centre is that voxel."""
    pair = make_pair(surface=0.2)
    place = tuple(np.argwhere(pair.labels.read((0, 0, 0), pair.labels.shape) == 1)[-1])
    labels = pair.labels.read((0, 0, 0), pair.labels.shape)
    labels[labels == 1] = 0
    labels[place] = 1
    image = pair.image.read((0, 0, 0), pair.image.shape)
    data = Data(patch_size=(8, 8, 8), augmentation=PLAIN)
    fewer = check_volumes(ArrayVolume(image), ArrayVolume(labels), data, role="train")
    loader = make_loader([fewer], patch_size=(8, 8, 8), augmentation=PLAIN)
    loader.set_foreground_share(1.0)
    with loader.held():
        loader.recount([fewer])
    batch = next(loader)
    assert batch.centred == [True, True]
    expected = tuple(
        min(max(at - 4, 0), size - 8) for at, size in zip(place, labels.shape, strict=True)
    )
    assert batch.starts == [expected, expected]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("patch", [(16, 16, 16), (8, 16, 8)])
def test_a_restarted_stream_is_that_of_a_loader_made_so(workers, patch):
    loader = make_loader(workers=workers)
    with loader:
        tally = None
        for step in range(4):
            if step == 2:
                tally = loader.tally_as_dict()
            next(loader)
        loader.restart(2, patch)
        loader.restore_tally(tally)
        again = [next(loader) for _ in range(3)]
        assert loader.epoch_stats()["num_patches"] == 10
    assert_same(again, take(make_loader(start_step=2, patch_size=patch), 3))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_without_memory_can_be_asked_again(workers, monkeypatch):
    real, calls = PatchLoader.build, []

    def build(loader, step):
        calls.append(step)
        if len(calls) == 2:
            raise MemoryError
        return real(loader, step)

    monkeypatch.setattr(PatchLoader, "build", build)
    loader = make_loader(workers=workers)
    with loader:
        found = [next(loader)]
        with pytest.raises(MemoryError):
            next(loader)
        loader.restart(1, (16, 16, 16))
        found += [next(loader), next(loader)]
    assert_same(found, take(make_loader(), 3))
