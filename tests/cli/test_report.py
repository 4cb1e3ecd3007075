from pathlib import Path


def test_the_report_is_written_and_its_place_shown(surfseg, config, quick_trainer):
    assert surfseg("train", config, "--run-dir", "run")[0] == 0
    assert surfseg("report", "run") == (0, f"report: {Path('run') / 'report.md'}\n", "")
