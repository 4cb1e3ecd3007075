def test_a_folder_of_runs_and_a_run_are_listed(surfseg, config, quick_trainer):
    assert surfseg("train", config, "--run-dir", "runs/first")[0] == 0
    code, out, err = surfseg("runs")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["first", "completed"]]
    assert surfseg("runs", "runs/first")[1] == out


def test_a_folder_without_runs(surfseg, tmp_path):
    assert surfseg("runs", tmp_path) == (0, f"There are no runs in {tmp_path}.\n", "")
