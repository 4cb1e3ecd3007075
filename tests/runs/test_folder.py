import pytest

from napari_surfseg.config_files import dump_experiment, relate_paths
from napari_surfseg.errors import ConfigError, RunError
from napari_surfseg.runs.folder import RunFolder, RunState, find_new_run_path
from napari_surfseg.runs.follow import read_state


def test_create_writes_the_whole_experiment(tmp_path, experiment):
    folder = RunFolder(tmp_path / "a" / "run").create(experiment)
    assert [path.name for path in folder.path.iterdir()] == ["config.yaml"]
    again = folder.read_experiment()
    # Data paths become absolute; everything else is as it was.
    assert again.data.train[0].image == str(folder.path / "a.tif")
    assert again.training == experiment.training
    assert again.experiment == experiment.experiment


def test_a_resolved_configuration_reads_back_unchanged(folder):
    once = folder.read_experiment()
    folder.write_experiment(once)
    assert folder.read_experiment() == once
    text = folder.config_path.read_text(encoding="utf-8")
    assert text == dump_experiment(relate_paths(once, folder.path))


def test_an_empty_folder_is_taken(tmp_path, experiment):
    (tmp_path / "run").mkdir()
    assert RunFolder(tmp_path / "run").create(experiment).exists()


def test_a_folder_with_a_run_is_refused(folder, experiment):
    before = folder.config_path.read_bytes()
    with pytest.raises(RunError, match=r"already holds a run; resume it .*\.$"):
        folder.create(experiment)
    assert folder.config_path.read_bytes() == before


def test_a_folder_with_other_things_is_refused(tmp_path, experiment):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no run"):
        RunFolder(tmp_path).create(experiment)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_way_is_refused(tmp_path, experiment):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match="is a file"):
        RunFolder(tmp_path / "run").create(experiment)
    with pytest.raises(RunError, match="cannot be made"):
        RunFolder(tmp_path / "run" / "deeper").create(experiment)


def test_reading_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match=r"no config\.yaml"):
        RunFolder(tmp_path).read_experiment()
    with pytest.raises(RunError, match="does not exist"):
        RunFolder(tmp_path / "nowhere").read_experiment()


def test_a_damaged_configuration_is_named(folder):
    folder.config_path.write_text("data: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml is not valid YAML at line 1"):
        folder.read_experiment()


def test_a_new_run_is_new(folder):
    assert read_state(folder.path) is RunState.NEW
    assert not RunState.NEW.is_active
    assert RunState.PAUSED.is_active


def test_run_names_become_folder_names(tmp_path):
    first = find_new_run_path("mouse / cortex: 3", tmp_path)
    assert first == tmp_path / "mouse___cortex__3"
    first.mkdir()
    assert find_new_run_path("mouse / cortex: 3", tmp_path) == first  # it is empty
    (first / "config.yaml").write_text("{}")
    second = find_new_run_path("mouse / cortex: 3", tmp_path)
    assert second.name == "mouse___cortex__3_2"
    assert find_new_run_path("...", tmp_path) == tmp_path / "run"
