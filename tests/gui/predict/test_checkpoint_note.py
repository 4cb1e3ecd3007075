"""What is shown of a checkpoint before it is used."""

import json

import pytest

from napari_surfseg.gui.predict.checkpoint_note import read_weights_note
from napari_surfseg.runs.folder import RunFolder


def write_summary(run_dir, **values):
    run = RunFolder(run_dir)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    run.best_checkpoint.write_bytes(b"not read")
    summary = {"name": "first", "model": "tiny", "epoch": 3, "threshold": 0.5, **values}
    run.best_checkpoint.with_suffix(".json").write_text(json.dumps(summary))
    return run


@pytest.mark.parametrize(
    ("values", "threshold", "min_voxels", "said"),
    [
        ({}, 0.5, 0, "epoch 3, not scored."),
        ({"metrics": {"surface_dice": 0.97}}, 0.5, 0, "epoch 3, surface Dice 0.970."),
        ({"metrics": {"surface_dice": 0.97}, "chosen_by": "mean_dice"}, 0.5, 0,
         "surface Dice 0.970, the best by mean Dice."),
        ({"postprocess": {"threshold": 0.3, "min_voxels": 60, "smoothing": 0.7}}, 0.3, 60,
         "tuned with smoothing."),
        ({"threshold": "?"}, None, None, "epoch 3, not scored."),
        ({"postprocess": []}, 0.5, 0, "epoch 3, not scored."),
    ],
)  # fmt: skip
def test_a_checkpoint_says_what_it_was_tuned_to(tmp_path, values, threshold, min_voxels, said):
    run = write_summary(tmp_path, **values)
    note = read_weights_note(str(run.best_checkpoint)).notes["best"]
    assert (note.threshold, note.min_voxels) == (threshold, min_voxels)
    assert note.text.endswith(said)


def test_a_checkpoint_without_a_summary_is_named(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"")
    note = read_weights_note(str(tmp_path / "mine.pt")).notes["best"]
    assert (note.text, note.threshold, note.min_voxels) == ("mine.pt", None, None)


def test_a_run_has_notes_of_its_best_and_newest_weights(tmp_path):
    run = write_summary(
        tmp_path, epoch=1, step=100, metrics={"surface_dice": 0.9},
        postprocess={"threshold": 0.3, "min_voxels": 25},
    )  # fmt: skip
    run.last_checkpoint.write_bytes(b"not read")
    summary = {"name": "first", "model": "tiny", "epoch": 14, "step": 1400, "threshold": 0.6}
    run.last_checkpoint.with_suffix(".json").write_text(json.dumps(summary))
    found = read_weights_note(str(run.path))
    assert {key: note.title for key, note in found.notes.items()} == {
        "best": "step 100, surface Dice 0.900",
        "newest": "step 1,400, not scored",
    }
    assert [note.threshold for note in found.notes.values()] == [0.3, 0.6]
    assert "The best weights are of epoch 1 of 14" in found.remark
    assert found.notes["newest"].text == "last.pt of first, network tiny, epoch 14, not scored."


def test_a_network_of_the_package_says_what_it_finds(registry):
    registry.add(threshold=0.35, postprocess={"threshold": 0.35, "min_voxels": 40})
    found = read_weights_note("sheets-tiny")
    note = found.notes["best"]
    assert (note.threshold, note.min_voxels, note.title) == (0.35, 40, "")
    assert note.text.startswith("sheets-tiny: comes with the package, finds sheets (surfaces 1.5 ")
