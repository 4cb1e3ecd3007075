"""The scores of a part that was held out."""

from napari_surfseg.runs.report.held_out_section import write_held_out
from napari_surfseg.runs.report.page import write_report
from napari_surfseg.runs.worker.worker import run_training


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
