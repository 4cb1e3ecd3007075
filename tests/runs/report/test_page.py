"""``report.md`` as a whole."""

import re
import struct

import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment, Training
from napari_surfseg.errors import RunError
from napari_surfseg.inference.postprocess_tuning import MAX_LOSS
from napari_surfseg.runs.report.page import find_changed_settings, select_epochs, write_report
from napari_surfseg.runs.worker.worker import run_training


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


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
        "Time and memory",
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


def test_the_memory_of_the_first_steps_is_beside_its_estimate(folder, fake_trainer):
    run_training(folder.path, device="cpu", build_trainer=fake_trainer())
    writer = events.EventWriter(folder.events_path)
    writer.write(
        events.MemoryMeasured(device="cpu", measured_bytes=3 << 30, estimated_bytes=2 << 30)
    )
    text = write_report(folder.path).read_text(encoding="utf-8")
    said = "the first steps took 3 GiB of memory, 2 GiB were estimated"
    assert re.search(rf"^\| memory +\| {said} \|$", text, re.MULTILINE)


def test_topology_and_postprocessing_have_their_sections(folder, make):
    writer = events.EventWriter(folder.events_path)
    writer.write(make.started())
    counts = {
        f"topo_{kind}_{dimension}": float(value)
        for dimension, row in enumerate([(10, 4, 3), (30, 8, 2), (0, 0, 0)])
        for kind, value in zip(("pred", "label", "matched"), row, strict=True)
    }
    for number in (1, 2):
        writer.write(make.epoch(number))
        writer.write(make.scored(number, 0.5 + number / 10, is_best=True, topo_score=0.3, **counts))
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
    assert "1 of the 2 steps below were kept" in text
    assert f"falls by more than {MAX_LOSS}," in text
    assert [cell.strip() for cell in rows["component size"]] == ["0.6000", "+0.1000", "yes"]
    assert [cell.strip() for cell in rows["closing"]] == ["0.5100", "-0.0100", "no"]


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


def test_a_run_without_validation_or_samples(tmp_path, folder, make):
    writer = events.EventWriter(folder.events_path)
    writer.write(make.started())
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
