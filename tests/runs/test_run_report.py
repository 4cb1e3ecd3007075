import re
import struct

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment, Training
from napari_surfseg.errors import RunError
from napari_surfseg.runs.report.held_out_section import write_held_out
from napari_surfseg.runs.report.history import RunHistory, read_history
from napari_surfseg.runs.report.page import find_changed_settings, select_epochs, write_report
from napari_surfseg.runs.report.samples import Sample, read_samples
from napari_surfseg.runs.report.summary import describe_headline, find_limits, find_statements
from napari_surfseg.runs.worker.worker import run_training


def started(**changes):
    values = {
        "seq": 0,
        "name": "told",
        "device": "cpu",
        "precision": "float32",
        "model": "tiny",
        "num_parameters": 1_500_000,
        "patch_size": (64, 64, 64),
        "epoch": 0,
        "max_epochs": 8,
        "max_minutes": None,
        "iterations_per_epoch": 10,
        "loss_weights": {"soft_dice": 0.5, "cldice": 0.5},
    }
    return events.RunStarted(**(values | changes))


def epoch_of(number, total=1.0, *, patches=None, **losses):
    return events.EpochFinished(
        step=10 * number,
        epoch=number,
        losses=losses or {"soft_dice": total},
        head_total=total,
        total=total,
        learning_rate=1e-3,
        epoch_seconds=2.0,
        steps_per_second=5.0,
        elapsed_seconds=2.0 * number,
        patches=patches or {},
        cache={},
    )


def scored(number, surface_dice, *, is_best=False, **metrics):
    return events.ValidationFinished(
        seq=100 + number,
        step=10 * number,
        epoch=number,
        metrics={"surface_dice": surface_dice} | metrics,
        threshold=0.4,
        is_best=is_best,
        seconds=0.5,
    )


def make_history(tmp_path, totals=(), dices=(), *, best=None, terms=None, **metrics):
    from napari_surfseg.runs.folder import RunFolder

    history = RunHistory(folder=RunFolder(tmp_path), experiment=Experiment(), starts=[started()])
    terms = terms or {}
    for number, total in enumerate(totals, 1):
        losses = {name: values[number - 1] for name, values in terms.items()}
        history.epochs[number] = epoch_of(number, total, **losses)
    best = best if best is not None else (int(np.argmax(dices)) + 1 if len(dices) else None)
    for number, dice in enumerate(dices, 1):
        history.validations[number] = scored(number, dice, is_best=number == best, **metrics)
    return history


def said(history):
    return " ".join(find_statements(history))


def test_falling_and_rising_totals(tmp_path):
    assert "fell from 2.000 to 1.000 (−50 %)" in said(make_history(tmp_path, [2.0, 1.5, 1.0]))
    assert "**rose** from 1.000 to 2.000 (+100 %)" in said(make_history(tmp_path, [1.0, 2.0]))
    assert "hardly moved, from 1.000 to 1.010" in said(make_history(tmp_path, [1.0, 1.01]))
    assert "no trend" in said(make_history(tmp_path, [1.0]))
    flat = [2.0, 1.5, 1.2, 1.1, 1.05, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert "hardly moved in the last third" in said(make_history(tmp_path, flat))


def test_a_term_that_rises_while_the_total_falls_is_named(tmp_path):
    terms = {"soft_dice": [0.9, 0.5], "cldice": [0.2, 0.3]}
    text = said(make_history(tmp_path, [1.0, 0.8], terms=terms))
    assert "While the total fell, `cldice` rose from 0.200 to 0.300 (+50 %): with 50.0 %" in text
    assert "`soft_dice` rose" not in text
    assert "traded away" not in said(make_history(tmp_path, [0.8, 1.0], terms=terms))


def test_overfitting_is_recognised(tmp_path):
    history = make_history(tmp_path, [1.0, 0.8, 0.6, 0.4], [0.7, 0.9, 0.85, 0.8])
    text = said(history)
    assert "Since epoch 2" in text
    assert "by heart" in text
    # The score falls, but so does the learning: not the training volumes by heart.
    assert "by heart" not in said(
        make_history(tmp_path, [1.0, 0.8, 0.9, 0.9], [0.7, 0.9, 0.8, 0.8])
    )


def test_still_rising_or_level(tmp_path):
    assert "still rising" in said(make_history(tmp_path, [1] * 4, [0.5, 0.6, 0.7, 0.8]))
    level = said(make_history(tmp_path, [1] * 5, [0.5, 0.9, 0.905, 0.9, 0.902]))
    assert "within 0.01 of its best at epoch 2 and has been level since" in level
    late = said(make_history(tmp_path, [1] * 5, [0.3, 0.55, 0.52, 0.576, 0.571]))
    assert "near its best only at epoch 4 of 5" in late


def test_precision_against_recall(tmp_path):
    def text(precision, recall):
        return said(make_history(tmp_path, [1], [0.9], precision=precision, recall=recall))

    assert "misses surface more than it invents" in text(0.95, 0.7)
    assert "invents surface more than it misses" in text(0.7, 0.95)
    assert "in balance" in text(0.9, 0.92)


def test_place_right_but_voxels_wrong(tmp_path):
    assert "not voxel for voxel" in said(make_history(tmp_path, [1], [0.95], dice=0.7))
    assert "not voxel for voxel" not in said(make_history(tmp_path, [1], [0.95], dice=0.9))


def test_pieces(tmp_path):
    text = said(
        make_history(tmp_path, [1], [0.9], b0_pred=12.0, b0_label=3.0, b1_pred=40.0, b1_label=8.0)
    )
    assert "12 pieces where the labels have 3" in text
    assert "40 tunnels (holes in sheets, bridges) against 8" in text


def test_sampling_that_misses_its_share(tmp_path):
    history = make_history(tmp_path)
    history.epochs[1] = epoch_of(1, patches={"foreground_centred_share": 0.3})
    assert "30.0 % of the patches were centred on the surface, **not** as asked" in said(history)
    history.epochs[1] = epoch_of(1, patches={"foreground_centred_share": 0.66})
    assert "as asked for (65.0 %)" in said(history)


def test_limits_of_a_small_slab(tmp_path):
    history = make_history(tmp_path, [1], [0.9])
    row = {"image": "a.tif", "role": "train", "shape": [100, 100, 100]}
    slab = row | {"role": "validation", "shape": [10, 100, 100], "foreground_fraction": 0.1}
    history.data = events.DataChecked(volumes=[row, slab])
    text = " ".join(find_limits(history))
    assert "0.10 million voxels with 10,000 of surface, so few that" in text
    assert "cut from the training volumes" in text
    history.data = events.DataChecked(volumes=[row, slab | {"image": "b.tif"}])
    assert "not trained on" in " ".join(find_limits(history))


def test_limits_of_few_steps_thresholds_and_topology(tmp_path):
    history = make_history(tmp_path, [1], [0.9])
    text = " ".join(find_limits(history))
    assert "10 steps are few" in text
    assert "threshold 0.40 and the best epoch were chosen on the validation data" in text
    assert "`topo_score` is absent" in text
    history = make_history(tmp_path, [1], [0.9], topo_score=0.5)
    assert "absent" not in " ".join(find_limits(history))


def test_weights_changed_midway_are_mentioned_and_used(tmp_path):
    history = make_history(tmp_path, [1.0, 0.8])
    history.applied.append(
        events.CommandApplied(
            seq=5,
            step=7,
            command_id="a",
            command="SetLossWeights",
            details={"weights": {"cldice": 0.9}},
        )
    )
    assert "changed while it ran (at step 7)" in " ".join(find_limits(history))
    assert history.weights == {"soft_dice": 0.5, "cldice": 0.9}


def test_headlines(tmp_path):
    history = make_history(tmp_path, [1.0, 0.9], [0.7, 0.8], dice=0.6)
    text = describe_headline(history)
    assert text.startswith("**Surface Dice 0.800** on the validation data at epoch 2 (Dice 0.600).")
    assert "has not ended" in text
    assert "2 epochs, 20 steps and 4.0 s of training of a 1.50 M parameter network (tiny)" in text
    history.ending = events.RunFailed(message="The disk is full.")
    assert "**failed** (The disk is full)" in describe_headline(history)
    assert "**No validation score**" in describe_headline(make_history(tmp_path, [1.0]))


def test_selected_epochs():
    assert select_epochs(range(1, 33), 28) == [1, 2, 4, 8, 16, 28, 32]
    assert select_epochs([1], 1) == [1]
    assert select_epochs([5, 6, 7], None) == [5, 7]
    many = select_epochs(range(1, 10**6), 12345)
    assert len(many) == 14
    assert {1, 999_999, 12345} <= set(many)


def test_changed_settings():
    assert find_changed_settings(Experiment()) == []
    changed = Experiment(training=Training(max_epochs=3, gradient_clip=None))
    assert find_changed_settings(changed) == [
        ("training.max_epochs", 3, None),
        ("training.gradient_clip", None, 0.8),
    ]


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_the_whole_report(folder, fake_trainer):
    run_training(folder.path, device="cpu", build_trainer=fake_trainer())
    text = folder.report_path.read_text(encoding="utf-8")
    assert text.startswith("# try\n\n**Surface Dice 0.900** on the validation data at epoch 3")
    for heading in (
        "What the data says",
        "What it does not say",
        "Losses",
        "Selected epochs",
        "Predictions on validation data",
        "Timing",
        "Patches",
        "Data",
        "Settings that differ from the defaults",
        "Environment",
    ):
        assert f"## {heading}\n" in text
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert sorted(pictures) == [
        "report/losses.png",
        "report/schedule.png",
        "report/scores.png",
        "report/validation_0.png",
    ]
    for picture in pictures:
        width, height = png_size(folder.path / picture)
        assert width > 800
        assert height > 150
    row = next(line for line in text.splitlines() if line.startswith("| `toploss_simple`"))
    assert re.findall(r"[+−\d.]+", row.split("`")[-1]) == ["0.05", "0.3833", "0.4300", "+12.2"]
    # Every table has as many cells in each row as in its header.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_topology_and_postprocessing_have_their_sections(folder):
    writer = events.EventWriter(folder.events_path)
    writer.write(started())
    counts = {
        f"topo_{kind}_{dimension}": float(value)
        for dimension, row in enumerate([(10, 4, 3), (30, 8, 2), (0, 0, 0)])
        for kind, value in zip(("pred", "label", "matched"), row, strict=True)
    }
    for number in (1, 2):
        writer.write(epoch_of(number))
        writer.write(scored(number, 0.5 + number / 10, is_best=True, topo_score=0.3, **counts))
    writer.write(
        events.PostprocessTuned(
            settings={"threshold": 0.4, "min_voxels": 60, "closing_radius": 0},
            score_before=0.5,
            score_after=0.6,
            steps=[
                {"name": "start", "score": 0.5, "gain": 0.0, "kept": True},
                {"name": "closing", "score": 0.51, "gain": -0.01, "kept": False},
                {"name": "component size", "score": 0.6, "gain": 0.1, "kept": True},
            ],
            seconds=3.0,
        )
    )
    text = write_report(folder.path).read_text(encoding="utf-8")
    assert "## Topology" in text
    rows = {
        line.split("|")[1].strip(): line.split("|")[2:-1]
        for line in text.splitlines()
        if line.startswith("|")
    }
    # 2 matched / (prediction + labels)
    assert [cell.strip() for cell in rows["pieces"]] == ["10", "4", "3", "0.429"]
    assert [cell.strip() for cell in rows["cavities"]] == ["0", "0", "0", "–"]
    assert png_size(folder.report_folder / "topology.png")[0] > 800
    assert "## Post-processing" in text
    assert "0.5000 at a plain threshold to 0.6000, with `threshold` 0.4, `min_voxels` 60" in text
    assert "1 of the 2 steps below convinced" in text
    assert [cell.strip() for cell in rows["component size"]] == ["0.6000", "+0.1000", "yes"]
    assert [cell.strip() for cell in rows["closing"]] == ["0.5100", "-0.0100", "no"]


def test_a_held_out_part_is_scored_both_ways(folder, fake_trainer):
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert "held out" not in write_report(folder.path).read_text(encoding="utf-8")
    write_held_out(folder, {"score": 0.5, "dice": 0.75}, {"score": 0.625, "dice": 0.7})
    lines = write_report(folder.path).read_text(encoding="utf-8").splitlines()
    assert "## On the part that was held out" in lines
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert ["score", "0.5000", "0.6250", "+0.1250"] in rows
    assert ["dice", "0.7500", "0.7000", "-0.0500"] in rows
    (folder.path / "held_out.json").write_text("{", encoding="utf-8")
    assert "held out" not in write_report(folder.path).read_text(encoding="utf-8")


def test_an_earlier_report_is_replaced_and_nothing_else_is_left(folder, fake_trainer):
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    first = write_report(folder.path)
    before = sorted(path.name for path in folder.path.rglob("*"))
    assert write_report(folder.path) == first
    assert sorted(path.name for path in folder.path.rglob("*")) == before


def test_nothing_to_report(tmp_path, folder):
    with pytest.raises(RunError, match=r"nothing happened in it yet\.$"):
        write_report(folder.path)
    assert not folder.report_folder.exists()
    with pytest.raises(RunError, match="does not exist"):
        write_report(tmp_path / "nowhere")
    events.EventWriter(folder.events_path).write(
        events.RunFailed(message="There is no file a.tif.")
    )
    with pytest.raises(RunError, match=r"it failed before it began: There is no file a\.tif\.$"):
        write_report(folder.path)


def test_a_run_without_validation_or_samples(tmp_path, folder):
    writer = events.EventWriter(folder.events_path)
    writer.write(started())
    writer.write(
        events.StepFinished(
            step=1,
            epoch=1,
            losses={"soft_dice": 0.5},
            head_total=0.5,
            total=0.5,
            learning_rate=1e-3,
            gradient_norm=1.0,
            steps_per_second=1.0,
            elapsed_seconds=1.0,
            progress=0.1,
        )
    )
    text = write_report(folder.path).read_text(encoding="utf-8")
    assert "**No validation score**" in text
    assert "losses.png" in text
    assert "scores.png" not in text


def test_a_resumption_drops_what_was_lost(folder):
    writer = events.EventWriter(folder.events_path)

    def take(number):
        writer.write(
            events.StepFinished(
                step=number,
                epoch=1 + (number - 1) // 10,
                losses={"soft_dice": number / 100},
                head_total=1.0,
                total=1.0,
                learning_rate=1e-3,
                gradient_norm=1.0,
                steps_per_second=1.0,
                elapsed_seconds=float(number),
                progress=0.1,
            )
        )

    writer.write(started())
    for number in range(1, 16):
        take(number)
    writer.write(epoch_of(1))
    writer.write(started(step=10, epoch=1, resumed=True))  # back to the checkpoint of epoch 1
    for number in range(11, 21):
        take(number)
    writer.write(epoch_of(2))
    history = read_history(folder.path)
    assert [event.step for event in history.steps] == list(range(1, 21))
    at, values = history.step_values("soft_dice")
    np.testing.assert_allclose(at, np.arange(1, 21) / 10)
    np.testing.assert_allclose(values, np.arange(1, 21) / 100)
    assert "resumed 1 time." in " ".join(find_limits(history))


def test_starting_anew_forgets_the_first_try(folder):
    writer = events.EventWriter(folder.events_path)
    writer.write(events.WarningIssued(message="The voxels are not cubes."))
    writer.write(started())
    writer.write(epoch_of(1, 5.0))
    writer.write(started())
    writer.write(epoch_of(1, 1.0))
    history = read_history(folder.path)
    assert history.epoch_values("total")[1].tolist() == [1.0]
    assert history.warnings == ["The voxels are not cubes."]


def test_samples_that_are_damaged_are_passed_over(tmp_path):
    good = np.zeros((4, 6, 8), np.uint8)

    def write(number, **arrays):
        for name, array in arrays.items():
            np.save(tmp_path / f"validation_{number}_{name}.npy", array)

    write(0, image=good, labels=good, probabilities=good)
    write(1, image=good, labels=good)
    write(2, image=good, labels=good, probabilities=good[:2])
    write(3, image=good[0], labels=good[0], probabilities=good[0])
    (tmp_path / "validation_4_image.npy").write_bytes(b"damaged")
    (tmp_path / "validation_0.json").write_text('{"image": "scan.tif", "origin": [1, 2, 3]}')
    (sample,) = read_samples(tmp_path)
    assert sample.title == "scan.tif from voxel (1, 2, 3), 4 × 6 × 8 voxels"
    assert read_samples(tmp_path / "nowhere") == []


def test_the_slices_shown_cut_the_sheets():
    """Across a sheet one sees a line, along it a blot."""
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:, :, 8:10] = 1  # a sheet across X
    labels[13, :, 3:5] = 1  # and more to see at one height
    sample = Sample("x", labels, labels, labels)
    assert [view.name for view in sample.choose_slices()] == ["z = 13", "y = 9"]
    nothing = np.zeros((9, 7, 5), np.uint8)
    views = Sample("x", nothing, nothing, nothing).choose_slices()
    assert [view.name for view in views] == ["z = 4", "y = 3"]
    assert [view.image.shape for view in views] == [(5, 7), (5, 9)]  # laid down
