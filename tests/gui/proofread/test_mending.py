"""Decisions on places, with the real widgets: mends, undo, the record, keys."""

import time

import dask.array
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_surfseg.gui.proofread import editable_copy
from napari_surfseg.gui.proofread.controller import ProofreadController
from napari_surfseg.gui.proofread.finding import FoundPlaces
from napari_surfseg.gui.proofread.keys import KEYS
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.record import MendRecord

SHAPE = (32, 48, 48)


def place(kind, at, start, stop, weight=0.5):
    return DoubtfulPlace(kind, at, start, stop, 9, weight, f"A {kind}.")


PLACES = [
    place("hole", (10, 21, 21), (10, 20, 20), (12, 23, 23), 0.9),
    place("bridge", (14, 31, 31), (12, 30, 30), (16, 32, 32), 0.8),
    place("small piece", (25, 5, 5), (25, 5, 5), (27, 6, 6), 0.7),
    place("uncertain", (10, 40, 40), (9, 38, 38), (12, 42, 42), 0.6),
    place("hole", (17, 10, 40), (16, 9, 39), (18, 12, 42), 0.5),
]
INDEX = {"hole": 0, "bridge": 1, "speck": 2, "uncertain": 3, "intended hole": 4}


def make_sheets(dtype=np.int32):
    sheets = np.zeros(SHAPE, dtype)
    sheets[10:12], sheets[16:18] = 1, 2
    sheets[10:12, 20:23, 20:23] = 0
    sheets[16:18, 9:12, 39:42] = 0
    sheets[12:16, 30:32, 30:32] = 1
    sheets[25:27, 5, 5] = 3
    return sheets


@pytest.fixture
def add(viewer, tmp_path):
    """Add the result to a viewer, as a prediction in its folder makes it."""

    def add_result(data=None, **options):
        options.setdefault("metadata", {"surfseg": "prediction", "part": "surface"})
        options["metadata"].setdefault("folder", str(tmp_path))
        data = make_sheets() if data is None else data
        return viewer.add_labels(data, name="sheets", **options)

    return add_result


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def view(qtbot):
    view = ProofreadView()
    qtbot.addWidget(view)
    return view


@pytest.fixture
def start(qtbot, viewer, view, session, jobs):
    """Open the dock's controller with the places found already."""
    made = []

    def open_list(places=PLACES):
        controller = ProofreadController(viewer, view, session, jobs=jobs)
        made.append(controller)
        controller._mended = _what(controller)
        controller.show_places(FoundPlaces(list(places), (1.0, 1.0, 1.0)))
        controller.shown.adder.finish()
        return controller

    yield open_list
    for controller in made:
        controller.close()


def _what(controller):
    from napari_surfseg.gui.proofread.mend_controller import Mended

    layer = controller._find_layer("prediction")
    controller._source = layer
    return Mended(layer, layer.name)


def press(viewer, action):
    """Press the key of an action in the canvas."""
    (key,) = [k for k in viewer.keymap if str(k) == KEYS[action].replace("-", "+")]
    viewer.keymap[key](viewer)


def names(path):
    return [(one.place.kind, one.choice) for one in MendRecord(path / "mends.jsonl").decisions]


def test_a_list_is_worked_through_with_keys(viewer, view, add, start, tmp_path):
    layer = add()
    before = layer.data.copy()
    start()
    assert view.current() == 0
    press(viewer, "reject")  # the hole is filled
    assert (layer.data[10:12, 20:23, 20:23] == 1).all()
    assert view.current() == 1
    assert view.panel.message.text() == "Filled: 18 voxels at 10, 21, 21."
    press(viewer, "reject")  # the bridge is cut
    assert np.count_nonzero(layer.data != before) == 18 + 4
    press(viewer, "previous")
    assert view.current() == 1
    press(viewer, "next")
    press(viewer, "reject")  # the speck is removed
    assert not layer.data[25:27].any()
    press(viewer, "reject")  # nobody can say
    unsure = viewer.layers["sheets unsure"]
    assert unsure.data[9:12, 38:42, 38:42].all()
    assert viewer.layers.selection.active is not unsure
    press(viewer, "accept")  # this hole is one
    assert not layer.data[16:18, 9:12, 39:42].any()
    assert view.list.model.states == ["mended", "mended", "mended", "unsure", "right"]
    assert view.panel.progress.text() == "5 of 5 decided"
    assert names(tmp_path) == [
        ("hole", "mend"), ("bridge", "mend"), ("small piece", "mend"), ("uncertain", "mend"),
        ("hole", "accept"),
    ]  # fmt: skip
    for _ in range(5):
        press(viewer, "undo")
    np.testing.assert_array_equal(layer.data, before)
    assert not unsure.data.any()
    assert view.current() == 0
    assert names(tmp_path) == []
    assert not view.panel.buttons["undo"].isEnabled()


def test_ctrl_z_takes_a_mend_back_and_its_place_is_open_again(qtbot, viewer, view, add, start):
    layer = add()
    before = layer.data.copy()
    controller = start()
    view.panel.buttons["reject"].click()
    view.panel.buttons["reject"].click()
    mended = layer.data.copy()
    layer.undo()
    qtbot.waitUntil(lambda: view.list.model.states[:2] == ["mended", ""])
    assert view.current() == 1
    layer.redo()
    qtbot.waitUntil(lambda: view.list.model.states[:2] == ["mended", "mended"])
    np.testing.assert_array_equal(layer.data, mended)
    layer.undo()
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    qtbot.waitUntil(lambda: view.list.model.states[:2] == ["", ""])
    assert not controller.mends.record.decisions


def test_marks_of_decided_places_give_way(viewer, view, add, start):
    add()
    controller = start()
    holes = controller.shown.layers["hole"]
    assert holes.shown.tolist() == [True, True]
    view.panel.buttons["reject"].click()
    assert holes.shown.tolist() == [False, True]
    view.list.previous.click()  # a look back
    assert holes.shown.tolist() == [True, True]
    view.panel.buttons["undo"].click()
    view.list.next.click()
    assert holes.shown.tolist() == [True, True]


def test_what_a_person_painted_since_survives_the_undo(view, add, start):
    layer = add()
    start()
    view.panel.buttons["reject"].click()
    layer.data_setitem((np.array([30]), np.array([1]), np.array([1])), 7)
    view.panel.buttons["undo"].click()
    assert layer.data[30, 1, 1] == 7
    assert not layer.data[10:12, 20:23, 20:23].any()
    assert view.list.model.states[0] == ""


def test_the_next_session_goes_on_where_the_last_one_ended(
    qtbot, viewer, view, add, start, session, jobs
):
    layer = add()
    first = start()
    for action in ("reject", "accept"):
        view.panel.buttons[action].click()
    mended = layer.data.copy()
    first.close()
    viewer.layers.clear()
    layer = add()  # as its file has it
    other = ProofreadView()
    qtbot.addWidget(other)
    again = ProofreadController(viewer, other, session, jobs=jobs)
    again._mended = _what(again)
    # Found again, a voxel aside.
    moved = [place("hole", (11, 21, 22), (10, 20, 20), (12, 24, 24)), *PLACES[1:]]
    again.show_places(FoundPlaces(moved, (1.0, 1.0, 1.0)))
    assert other.list.model.states[:3] == ["mended", "right", ""]
    assert other.current() == 2
    np.testing.assert_array_equal(layer.data, mended)
    assert other.panel.message.text() == "1 mend of an earlier session made again."
    again.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64])
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_every_type_of_labels_is_mended_in_any_view(viewer, view, add, start, dtype, ndisplay):
    layer = add(make_sheets(dtype), scale=(4, 2, 2), translate=(100, 10, -30))
    viewer.dims.ndisplay = ndisplay
    start()
    view.panel.buttons["reject"].click()
    assert (layer.data[10:12, 20:23, 20:23] == 1).all()
    assert layer.data.dtype == dtype


def test_an_axis_of_length_one_is_left_alone(viewer, view, add, start):
    layer = add(make_sheets()[None])
    start()
    view.panel.buttons["reject"].click()
    assert (layer.data[0, 10:12, 20:23, 20:23] == 1).all()
    view.panel.buttons["undo"].click()
    assert not layer.data[0, 10:12, 20:23, 20:23].any()


def test_what_cannot_be_done_is_said_and_the_place_stays(view, add, start, tmp_path):
    add()
    start()
    view.panel.buttons["cut bridge"].click()
    assert view.error.text().startswith("There is no bridge between two sheets within 12 voxels")
    assert view.current() == 0
    assert view.list.model.states[0] == ""
    assert names(tmp_path) == []
    assert not view.panel.buttons["follow labels"].isEnabled()


def test_a_layer_that_is_gone_or_renamed(viewer, view, add, start):
    layer = add()
    start()
    layer.name = "another name"
    view.panel.buttons["reject"].click()
    assert view.list.model.states[0] == "mended"
    viewer.layers.remove(layer)
    view.panel.buttons["reject"].click()
    assert "gone from the viewer" in view.inputs.prediction_error.text()
    assert view.list.model.states[1] == ""


def test_a_key_that_somebody_has_is_left_to_them(viewer, view, add, start):
    pressed = []
    viewer.bind_key(KEYS["accept"], lambda _viewer: pressed.append("theirs"))
    add()
    controller = start()
    press(viewer, "accept")
    assert pressed == ["theirs"]
    assert "Key:" not in view.panel.buttons["accept"].toolTip()
    assert "Key: W." in view.panel.buttons["reject"].toolTip()
    controller.close()
    assert [str(key) for key in viewer.keymap] == ["K"]


def make_lazy(kind, path):
    """The sheets as a layer that napari cannot, or should not, paint on; its options."""
    sheets = make_sheets()
    if kind == "dask":
        return dask.array.from_array(sheets, chunks=16), {}
    if kind == "multiscale":
        return [sheets, sheets[::2, ::2, ::2]], {"multiscale": True}
    if kind == "zarr":
        array = zarr.create_array(path / "sheets.zarr", shape=SHAPE, chunks=(16,) * 3, dtype="i4")
        array[:] = sheets
        return array, {}
    np.save(path / "sheets.npy", sheets)
    return np.load(path / "sheets.npy", mmap_mode="r"), {}


@pytest.mark.parametrize("kind", ["dask", "multiscale", "zarr", "read-only"])
@pytest.mark.parametrize("is_large", [False, True])
def test_what_cannot_be_painted_on_is_mended_in_a_copy(
    viewer, view, add, start, tmp_path, monkeypatch, kind, is_large
):
    if is_large:
        monkeypatch.setattr(editable_copy, "IN_MEMORY_BYTES", 1000)
    data, options = make_lazy(kind, tmp_path)
    layer = add(data, scale=(4, 2, 2), **options)
    start()
    view.panel.buttons["reject"].click()
    said = view.inputs.prediction_error.text()
    assert "cannot be mended; Copy to mend makes a layer of it that can." in said
    view.panel.copy.click()
    copy = viewer.layers["sheets mended"]
    assert (view.error.text(), view.panel.copy.isHidden(), layer.visible) == ("", True, False)
    assert copy.scale.tolist() == [4, 2, 2]
    assert isinstance(copy.data, np.memmap) == is_large == (tmp_path / "mends.npy").exists()
    view.panel.buttons["reject"].click()
    assert (copy.data[10:12, 20:23, 20:23] == 1).all()
    assert names(tmp_path) == [("hole", "mend")]
    level = layer.data[0] if kind == "multiscale" else layer.data
    np.testing.assert_array_equal(np.asarray(level), make_sheets())


def test_two_thousand_places_are_listed_and_decided_at_once(view, add, start):
    add()
    at = [(10, 8 + i % 32, 8 + i // 64) for i in range(2000)]
    many = [place("uncertain", one, (9, 8, 8), (12, 40, 40)) for one in at]
    start(many)
    began = time.process_time()
    for _ in range(10):
        view.panel.buttons["accept"].click()
    assert view.panel.progress.text() == "10 of 2,000 decided"
    assert time.process_time() - began < 5


def test_two_viewers_share_nothing_but_the_record(viewer, view, add, start, session, qtbot, jobs):
    layer = add()
    start()
    second = ViewerModel()
    twin = second.add_labels(make_sheets(), name="sheets", metadata=dict(layer.metadata))
    other = ProofreadView()
    qtbot.addWidget(other)
    controller = ProofreadController(second, other, session, jobs=jobs)
    controller._mended = _what(controller)
    view.panel.buttons["reject"].click()
    assert not twin.data[10:12, 20:23, 20:23].any()
    controller.show_places(FoundPlaces(PLACES, (1.0, 1.0, 1.0)))
    assert (twin.data[10:12, 20:23, 20:23] == 1).all()
    assert other.current() == 1
    controller.close()
