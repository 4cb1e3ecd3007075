"""The record of decisions: it survives whatever happens to the window."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_surfseg.errors import OutputError
from napari_surfseg.metrics.error_table import TopologyError
from napari_surfseg.proofreading.edit import Edit, apply_edit, revert_edit
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.record import Decision, MendRecord, note_place

HOLE = note_place(DoubtfulPlace("hole", (5, 6, 7), (4, 5, 6), (7, 8, 9), 9, 0.5, "A hole."))
ERROR = note_place(TopologyError("extra_tunnel", "bridge", (2, 2, 2), 5, (1, 1, 1), (4, 4, 4)))


def make_edit(dtype=np.uint16, kind="fill hole"):
    before = np.zeros((2, 3, 4), dtype)
    after = before.copy()
    after[0, 1, 2] = after[1, 2, 3] = 1 if dtype is bool else 7
    return Edit(kind, HOLE.location, (4, 5, 6), before, after)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.uint64])
def test_decisions_come_back_as_they_were_made(tmp_path, dtype):
    path = tmp_path / "prediction" / "mends.jsonl"
    record = MendRecord(path)
    assert not record.decisions
    made = [Decision(HOLE, "mend", make_edit(dtype)), Decision(ERROR, "accept")]
    for decision in made:
        record.add(decision)
    read = MendRecord(path).decisions
    assert [(one.id, one.time, one.place, one.choice) for one in read] == [
        (one.id, one.time, one.place, one.choice) for one in made
    ]
    values = np.zeros((16, 16, 16), dtype)
    values[4, 5, 6] = 1  # within the box, painted by a person since
    apply_edit(values, read[0].edit)
    assert np.count_nonzero(values) == 3
    revert_edit(values, read[0].edit)
    assert np.argwhere(values).tolist() == [[4, 5, 6]]
    assert read[0].edit.num_changed == made[0].edit.num_changed == 2
    assert read[1].edit is None


def test_what_was_taken_back_is_undecided_again(tmp_path):
    path = tmp_path / "mends.jsonl"
    record = MendRecord(path)
    first, second = Decision(HOLE, "mend", make_edit()), Decision(HOLE, "accept")
    record.add(first)
    record.undo(first)
    assert record.find(HOLE) is None
    record.add(second)
    for one in (record, MendRecord(path)):
        assert one.find(HOLE).id == second.id
        assert [decision.id for decision in one.decisions] == [second.id]


def test_half_a_line_and_foreign_lines_are_passed_over(tmp_path):
    path = tmp_path / "mends.jsonl"
    first, second = Decision(HOLE, "mend", make_edit()), Decision(ERROR, "accept")
    MendRecord(path).add(first)
    with path.open("ab") as file:  # a newer version, a damaged line, then a program is killed
        file.write(json.dumps({"choice": "postpone", "id": "x", "place": {}}).encode() + b"\n")
        file.write(b"[1]\n\xff\n" + path.read_bytes()[:150])
    MendRecord(path).add(second)
    assert [decision.id for decision in MendRecord(path).decisions] == [first.id, second.id]


def test_a_place_found_again_is_the_same_one():
    def place(kind="hole", at=(5, 6, 7), grown=0):
        start, stop = tuple(a - 1 - grown for a in at), tuple(a + 2 + grown for a in at)
        return note_place(DoubtfulPlace(kind, at, start, stop, 9, 0.5, ""))

    assert place(at=(6, 6, 8), grown=3).is_same(HOLE)
    assert not place("bridge").is_same(HOLE)
    assert not place(at=(11, 6, 7), grown=9).is_same(HOLE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_is_said_and_nothing_counts_as_decided(tmp_path):
    path = tmp_path / "mends.jsonl"
    record = MendRecord(path)
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"mends\.jsonl"):
        record.add(Decision(HOLE, "accept"))
    assert not record.decisions
