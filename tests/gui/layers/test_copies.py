"""Copies for a worker: written once, asked about where large, and given up without a trace."""

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import CancelledError, OutputError
from napari_surfseg.gui.layers import copies as layer_copies
from napari_surfseg.gui.layers.copies import (
    find_copies,
    hand_over,
    measure_copy,
    require_consent,
    write_layer,
)
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_layer


def values(dtype=np.uint8, shape=(70, 30, 20)):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def never(question):
    raise AssertionError(question)


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("u2", "<u2"), (">u2", "<u2"), ("f8", "<f8"), ("f2", "<f2"), ("?", "|u1"), ("i4", "<i4")],
)
def test_a_written_layer_is_read_back_with_its_spacing(tmp_path, dtype, stored):
    data = values(np.dtype(dtype))
    shares = []
    taken = take_layer(Image(data, name="scan", scale=(2, 0.5, 0.5), units="um"))
    write_layer(taken, tmp_path / "deep" / "scan.zarr", shares.append)
    found = open_volume(tmp_path / "deep" / "scan.zarr")
    np.testing.assert_array_equal(found.read((0, 0, 0), data.shape), data)
    assert found.spacing == (2.0, 0.5, 0.5)
    assert found.units == "micrometer"
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["scan.zarr"]
    assert zarr.open_group(tmp_path / "deep" / "scan.zarr", mode="r")["0"].dtype.str == stored


def test_of_sparse_labels_only_what_is_not_zero_is_written(tmp_path):
    size = 20_000
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(size,) * 3, chunks=(128,) * 3, dtype="u1"
    )
    array[200, 300:310, 7] = 1
    taken = take_layer(Labels(array))
    assert measure_copy(taken) == 128**3 // 10
    write_layer(taken, tmp_path / "labels.zarr")
    files = [path for path in (tmp_path / "labels.zarr").rglob("*") if path.name.isdigit()]
    assert [path.relative_to(tmp_path / "labels.zarr").as_posix() for path in files if
            path.is_file()] == ["0/3/4/0"]  # fmt: skip
    found = open_volume(tmp_path / "labels.zarr")
    assert found.shape == (size,) * 3
    assert found.read((200, 295, 0), (201, 320, 64)).sum() == 10


def test_a_copy_is_made_once_and_used_while_the_layer_is_the_same(tmp_path):
    layer = Image(values())

    def give(name):
        return hand_over(
            take_layer(layer), tmp_path / name, ask=never, progress=[].append, check=lambda: None
        )[1]

    first = give("one.zarr")
    assert first == str(tmp_path / "one.zarr")
    assert give("two.zarr") == first
    layer.data[-1, -1, -1] += 1
    assert give("three.zarr") == str(tmp_path / "three.zarr")
    assert find_copies(take_layer(layer)) == [str(tmp_path / "three.zarr"), first]
    assert not (tmp_path / "two.zarr").exists()
    layer.data = values()
    assert find_copies(take_layer(layer)) == []


def test_a_large_copy_is_asked_about_and_no_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(layer_copies, "ASK_BYTES", 1000)
    taken = take_layer(Image(values(), name="scroll"))
    asked = []

    def ask(question):
        asked.append(question)
        return len(asked) > 1

    with pytest.raises(CancelledError, match="'scroll' was not copied"):
        hand_over(taken, tmp_path / "a.zarr", ask=ask, progress=print, check=lambda: None)
    assert list(tmp_path.iterdir()) == []
    assert "The layer 'scroll' (41 KiB) isn't backed by a file" in asked[0]
    assert str(tmp_path) in asked[0]
    hand_over(taken, tmp_path / "a.zarr", ask=ask, progress=[].append, check=lambda: None)
    assert (tmp_path / "a.zarr").is_dir()


def test_a_disk_that_is_too_full_is_seen_before(tmp_path):
    data = np.broadcast_to(np.uint8(1), (1_000_000,) * 3)
    taken = LayerVolume("scroll", data, data.shape, data.dtype)
    with pytest.raises(OutputError, match=r"Copying the layer 'scroll' takes up to .*TiB, but"):
        require_consent([taken], tmp_path / "not" / "yet", never)


def test_giving_up_a_copy_leaves_nothing(tmp_path):
    def stop(share):
        if share > 0.5:
            raise CancelledError("Enough.")

    with pytest.raises(CancelledError):
        write_layer(take_layer(Image(values(shape=(200, 70, 70)))), tmp_path / "a.zarr", stop)
    assert list(tmp_path.iterdir()) == []
