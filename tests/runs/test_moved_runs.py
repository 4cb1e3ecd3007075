"""A run folder that was moved, copied or renamed goes on; paths as people write them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_surfseg.config import Data, Experiment, ExperimentInfo, Model, Pair
from napari_surfseg.config_files import (
    apply_overrides,
    find_own_path,
    load_experiment,
    relate_path,
    resolve_path,
)
from napari_surfseg.data.checks import describe_cut, open_pairs
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.runs.folder import RunFolder, find_new_run_path
from napari_surfseg.runs.worker.failures import explain_failure

SHAPE = (24, 40, 40)


def write_volumes(folder):
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 18:22] = 1
    np.save(folder / "image_0.npy", np.arange(labels.size, dtype=np.uint16).reshape(SHAPE))
    np.save(folder / "labels_0.npy", labels)
    return Pair(image=str(folder / "image_0.npy"), labels=str(folder / "labels_0.npy"))


@pytest.fixture
def run(tmp_path):
    """A run whose volumes lie in its own folder."""
    folder = RunFolder(tmp_path / "here" / "run")
    pair = write_volumes(folder.inputs)
    experiment = Experiment(data=Data(train=(pair,)))
    folder.write_experiment(experiment)
    return folder


def copied(run, target):
    shutil.copytree(run.path, target)
    return RunFolder(target)


def moved(run, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(run.path, target)
    return RunFolder(target)


def test_what_lies_in_the_run_is_named_from_there(run):
    (pair,) = yaml.safe_load(run.config_path.read_text())["data"]["train"]
    assert (pair["image"], pair["labels"]) == ("inputs/image_0.npy", "inputs/labels_0.npy")
    (read,) = run.read_experiment().data.train
    assert read.image == str((run.inputs / "image_0.npy").resolve())


@pytest.mark.parametrize("change", [moved, copied])
@pytest.mark.parametrize("name", ["elsewhere", "with a space", "Übung", "deep/er/run", "run.old"])
def test_it_goes_on_where_it_is_now(run, tmp_path, change, name):
    there = change(run, tmp_path / "there" / name)
    (pair,) = there.read_experiment().data.train
    assert Path(pair.image).is_relative_to(there.path.resolve())
    # As a worker is started: by the file, not by the folder.
    assert load_experiment(there.config_path).data.train[0] == pair
    assert open_volume(pair.image).shape == SHAPE


@pytest.mark.parametrize(
    "before",
    [
        "/gone/runs/run/inputs/image_0.npy",
        "C:\\Users\\me\\runs\\run\\inputs\\image_0.npy",
        "D:/runs/run/inputs/image_0.npy",
        "\\\\server\\share\\run\\inputs\\image_0.npy",
    ],
)
def test_a_run_that_named_its_own_volumes_by_where_it_was_finds_them(run, before):
    here = str((run.inputs / "image_0.npy").resolve())
    values = yaml.safe_load(run.config_path.read_text())
    values["data"]["train"][0]["image"] = before
    run.config_path.write_text(yaml.safe_dump(values))
    assert run.read_experiment().data.train[0].image == here
    assert find_own_path(before, run.path) == here
    gone = before.replace("image_0", "image_7")
    assert find_own_path(gone, run.path) == gone


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("{run}/inputs/a.zarr", "inputs/a.zarr"),
        ("{run}/inputs/a.zarr::0", "inputs/a.zarr::0"),
        ("{run}/phantom/image.zarr", "phantom/image.zarr"),
        ("{run}_2/inputs/a.zarr", None),
        ("{run}/../other/a.zarr", None),
        ("/data/a.tif", None),
        ("https://example.org/a.zarr", None),
        ("file:///data/a.zarr", None),
        ("inputs/a.zarr", None),
        ("C:\\data\\a.tif", None),
    ],
)
def test_only_what_lies_in_the_run_is_named_from_there(tmp_path, source, named):
    run = tmp_path / "run"
    source = source.format(run=run)
    assert relate_path(source, run) == (named or source)
    if named:
        assert resolve_path(named, run) == str((run / named.partition("::")[0]).resolve()) + (
            "::0" if "::" in named else ""
        )


def test_the_layers_notes_and_previews_move_along(run, tmp_path):
    pytest.importorskip("napari")
    from napari_surfseg.events import PreviewWritten
    from napari_surfseg.gui.run_session.previews import load_preview
    from napari_surfseg.gui.run_session.run_layers import read_run_layers, write_layer_notes

    (pair,) = run.read_experiment().data.train
    write_layer_notes(run.path, {pair.labels: {"name": "sheet"}, "/data/a.tif": {"name": "scan"}})
    there = moved(run, tmp_path / "there")
    found = read_run_layers(there.path)
    here = str((there.inputs / "labels_0.npy").resolve())
    assert found.copies == (here, *found.copies[1:])
    assert found.notes == {here: {"name": "sheet"}, "/data/a.tif": {"name": "scan"}}
    there.previews.mkdir()
    for part in "ps":
        np.save(there.previews / f"{part}.npy", np.zeros((4, 4, 4), np.uint8))
    event = PreviewWritten(
        image=pair.image,
        index=0,
        origin=(0, 0, 0),
        shape=(4, 4, 4),
        epoch=1,
        seconds=1.0,
        probabilities="previews/p.npy",
        skeleton="previews/s.npy",
    )
    assert load_preview(there.path, event).image == found.pairs[0][0]


def test_validation_stays_what_it_was(run, tmp_path):
    data = run.read_experiment().data
    cut = describe_cut(data, *open_pairs(data, seed=0))
    there = moved(run, tmp_path / "there").read_experiment().data
    again = describe_cut(there, *open_pairs(there, seed=5, cut=cut))
    assert (again["parts"], again["validation"]) == (cut["parts"], cut["validation"])
    beyond = {**cut, "parts": [{**cut["parts"][0], "train": ((0, 0, 0), (999, 40, 40))}]}
    assert describe_cut(there, *open_pairs(there, seed=0, cut=beyond))["parts"] == cut["parts"]


@pytest.mark.parametrize("role", ["train", "validation"])
@pytest.mark.parametrize("what", ["image", "labels"])
def test_where_a_volume_was_moved_the_sentence_shows_what_helps(tmp_path, role, what):
    pair = write_volumes(tmp_path / "my data").model_copy(
        update={"roi": ((0, 24), (0, 40), (0, 40))}
    )
    other = write_volumes(tmp_path / "other")
    pairs = {"train": (other, pair), "validation": (other, pair)}
    experiment = Experiment(data=Data(**pairs))
    folder = RunFolder(tmp_path / "my run").create(experiment)
    shutil.move(tmp_path / "my data", tmp_path / "new place")
    error = DataError(
        f"There is no file or folder {getattr(pair, what)}.", field=f"data.{role}.1.{what}"
    )
    assert explain_failure(error, folder, experiment) is error  # nothing was learned yet
    folder.checkpoints.mkdir()
    folder.last_checkpoint.write_bytes(b"")
    said = str(explain_failure(error, folder, experiment))
    assert said.startswith(str(error).rstrip("."))
    assert f'surfseg train "{folder.path}" --resume --set' in said
    override = (
        said.partition('--set "')[2]
        .removesuffix('"')
        .replace("NEW_FOLDER", str(tmp_path / "new place"))
    )
    found = getattr(apply_overrides(experiment, [override]).data, role)
    for key in ("image", "labels"):  # both were moved, though one was missed first
        assert getattr(found[1], key) == str(tmp_path / "new place" / f"{key}_0.npy")
    assert (found[0], found[1].roi) == (other, pair.roi)
    unmoved = DataError("It is damaged.", field=f"data.{role}.0.{what}")
    assert explain_failure(unmoved, folder, experiment) is unmoved


# -- names and paths as people write them ----------------------------------------------------------


@pytest.mark.parametrize("name", ["a" * 300, "ü" * 300, "日" * 300, "a/b", "C:\\runs", "..."])
def test_any_name_of_an_experiment_gives_a_folder(tmp_path, name):
    experiment = Experiment(experiment=ExperimentInfo(name=name))
    folder = RunFolder(find_new_run_path(name, tmp_path)).create(experiment)
    assert folder.path.parent == tmp_path
    assert folder.read_experiment().experiment.name == name
    assert find_new_run_path(name, tmp_path) != folder.path


def test_a_folder_of_an_impossible_name_is_refused(tmp_path):
    for name in ("a" * 300, "a\0b"):
        with pytest.raises(SurfsegError, match=r"The run folder .* cannot be made") as raised:
            RunFolder(tmp_path / name).create(Experiment())
        assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{image: "C:\\new\\table.tif", labels: b.tif}', r"holds no '\\n'; in double quotes"),
        ('{image: a.tif, labels: "C:\\table.tif"}', r"holds no '\\t'; in double quotes"),
        ('{image: "C:\\Net\\Lab.tif", labels: b.tif}', r"holds no '\\x85'; in double quotes"),
        ('{image: "C:\\Data\\a.tif", labels: b.tif}', "in double quotes a backslash begins"),
        ('{image: "C:\\users\\a.tif", labels: b.tif}', "in double quotes a backslash begins"),
        ('{image: "C:\\x.tif", labels: b.tif}', "in double quotes a backslash begins"),
    ],
)
def test_a_path_of_windows_in_double_quotes_is_explained(tmp_path, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(f"data:\n  train: [{text}]\n")
    with pytest.raises(SurfsegError, match=said) as raised:
        load_experiment(path)
    assert "single quotes or with /" in str(raised.value)
    with pytest.raises(SurfsegError, match="single quotes or with /"):
        apply_overrides(Experiment(), [f"data.train=[{text}]"])


@pytest.mark.parametrize("text", ["'C:\\new\\a.tif'", "C:\\new\\a.tif", "C:/new/a.tif"])
def test_a_path_of_windows_stays_as_it_was_given(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(f"data:\n  train: [{{image: {text}, labels: b.npy}}]\n")
    (pair,) = load_experiment(path).data.train
    assert pair.image == text.strip("'")
    assert pair.labels == str(tmp_path.resolve() / "b.npy")


def test_the_network_to_start_from_is_a_path_too():
    with pytest.raises(ValueError, match="in double quotes"):
        Model(start_from="C:\runs")


@pytest.mark.parametrize("folder", ["plain", "with a space", "Größe", "100% #1?", "a::b"])
@pytest.mark.parametrize("form", ["{}", "{}/", "~", "file"])
def test_paths_are_taken_as_people_write_them(tmp_path, monkeypatch, folder, form):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    pair = write_volumes(tmp_path / folder)
    path = Path(pair.image)
    text = {"~": f"~/{folder}/image_0.npy", "file": path.as_uri()}.get(form, form.format(path))
    if folder == "a::b" and form != "{}":
        pytest.skip("where it is not the path itself, '::' names an array")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"data": {"train": [{"image": text, "labels": pair.labels}]}}))
    (read,) = load_experiment(config).data.train
    assert open_volume(read.image).shape == SHAPE
    assert open_volume(text).shape == SHAPE


@pytest.mark.parametrize("text", ["a" * 300 + ".tif", "/tmp/" + "b" * 300, "a" * 300 + ".zarr"])
def test_a_name_that_no_file_can_have_is_refused(text):
    with pytest.raises(DataError, match="cannot be opened") as raised:
        open_volume(text)
    assert len(str(raised.value)) < 200
