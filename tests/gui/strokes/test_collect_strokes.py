"""Strokes are found by comparison, put into a file for the worker, or written into the labels."""

import numpy as np
import pytest
import zarr
from napari.layers import Labels

from napari_surfseg.data.strokes.stroke_files import read_strokes
from napari_surfseg.errors import DataError, RunBusyError
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_file, take_layer
from napari_surfseg.gui.strokes import collect_strokes as module
from napari_surfseg.gui.strokes.collect_strokes import collect_strokes, find_strokes


def test_of_a_huge_sparse_zarr_only_what_either_stores_is_compared(tmp_path):
    shape = (20_000,) * 3
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=shape, chunks=(128,) * 3, dtype="u1"
    )
    array[200, 300:310, 7] = 1
    layer = Labels(array)
    write_layer(take_layer(layer), tmp_path / "copy.zarr")
    copy = take_file(str(tmp_path / "copy.zarr"))
    assert find_strokes(take_layer(layer), copy, {}) == []
    array[200, 300:310, 7] = 0  # what is rubbed out may have no chunk any more
    array[19_000, 5, 6] = 2
    (first, erased), (second, painted) = find_strokes(take_layer(layer), copy, {})
    assert (first, second) == ((192, 256, 0), (18_944, 0, 0))
    assert not erased.any()
    assert painted[19_000 - 18_944, 5, 6] == 2


def test_only_boxes_that_differ_are_found(layer, copy):
    known = {}
    assert find_strokes(take_layer(layer), take_file(copy), known) == []
    assert len(known) == 2 * 1 * 3
    layer.data[65, 3, 129] = 4
    ((start, values),) = find_strokes(take_layer(layer), take_file(copy), known)
    assert start == (64, 0, 128)
    assert values.shape == (6, 64, 2)
    assert np.argwhere(values).tolist() == [[1, 3, 1]]


def test_what_is_known_is_not_read_again(layer, copy):
    file = take_file(copy)
    known = {}
    find_strokes(take_layer(layer), file, known)
    read = []
    object.__setattr__(file, "read", lambda start, stop: read.append(start) or np.zeros(1))
    layer.data[0, 0, 0] = 1
    find_strokes(take_layer(layer), file, known)
    assert read == [(0, 0, 0)]


def test_a_stroke_that_was_undone_is_none(layer, copy):
    known = {}
    layer.data[0, 0, 0] = 1
    assert len(find_strokes(take_layer(layer), take_file(copy), known)) == 1
    layer.data[0, 0, 0] = 0
    assert find_strokes(take_layer(layer), take_file(copy), known) == []


def test_found_boxes_are_no_views_of_the_layer(layer, copy):
    layer.data[0, 0, 0] = 1
    ((_, values),) = find_strokes(take_layer(layer), take_file(copy), {})
    layer.data[0, 0, 0] = 2
    assert values[0, 0, 0] == 1


def test_another_shape_is_refused(viewer, copy):
    other = viewer.add_labels(np.zeros((5, 5, 5), np.uint8), name="other")
    with pytest.raises(
        DataError, match=r"'other' has shape \[5, 5, 5\], but it had \[70, 64, 130\]"
    ):
        find_strokes(take_layer(other), take_file(copy), {})


def test_for_a_worker_strokes_lie_in_the_run_folder(layer, copy, tmp_path):
    layer.data[1:3, 2:4, 3:5] = 1
    (command,) = collect_strokes(tmp_path / "run", {copy: (take_layer(layer), {})}, has_worker=True)
    assert command.labels == copy
    assert command.strokes.startswith("inputs/strokes/")
    ((start, values),) = read_strokes(tmp_path / "run" / command.strokes)
    assert start == (0, 0, 0)
    assert np.argwhere(values)[[0, -1]].tolist() == [[1, 2, 3], [2, 3, 4]]
    assert not take_file(copy).read((0, 0, 0), (4, 4, 5)).any()


def test_without_a_worker_strokes_are_written_into_the_labels(layer, copy, tmp_path):
    layer.data[1, 2, 3:5] = 1
    known = {}
    layers = {copy: (take_layer(layer), known)}
    assert collect_strokes(tmp_path / "run", layers, has_worker=False) == 2
    assert take_file(copy).read((1, 2, 3), (2, 3, 5)).tolist() == [[[1, 1]]]
    assert collect_strokes(tmp_path / "run", layers, has_worker=False) == 0


def test_a_worker_that_is_there_after_all_is_not_disturbed(layer, copy, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_alive", lambda _worker: True)
    monkeypatch.setattr(module, "read_worker", lambda _path: type("Worker", (), {"pid": 7}))
    layer.data[1, 2, 3] = 1
    with pytest.raises(RunBusyError, match="is being trained by process 7"):
        collect_strokes(tmp_path / "run", {copy: (take_layer(layer), {})}, has_worker=False)


def test_nothing_is_brought_over_once_it_is_cancelled(layer, copy, tmp_path):
    layer.data[1, 2, 3] = 1
    layers = {copy: (take_layer(layer), {})}
    stopped = collect_strokes(tmp_path / "run", layers, has_worker=True, should_stop=lambda: True)
    assert stopped == []
    assert not (tmp_path / "run" / "inputs" / "strokes").exists()
