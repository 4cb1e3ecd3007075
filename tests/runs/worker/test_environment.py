import json
import subprocess

import pytest

from napari_surfseg.config import Data, Experiment, Pair
from napari_surfseg.runs.worker import environment
from napari_surfseg.runs.worker.environment import (
    compute_label_hash,
    count_usable_cores,
    describe_environment,
    read_git_revision,
    write_environment,
)


def test_the_hash_is_of_the_content(tmp_path):
    first, second = tmp_path / "a.tif", tmp_path / "b.tif"
    first.write_bytes(b"labels")
    second.write_bytes(b"labels")
    found = compute_label_hash(str(first))
    assert found.startswith("sha256:")
    assert compute_label_hash(str(second)) == found
    second.write_bytes(b"labelz")
    assert compute_label_hash(str(second)) != found


def test_the_hash_of_a_folder_knows_names_and_content(tmp_path):
    folder = tmp_path / "labels.zarr"
    (folder / "0").mkdir(parents=True)
    (folder / "0" / "c.0").write_bytes(b"chunk")
    found = compute_label_hash(str(folder))
    assert compute_label_hash(f"{folder}::0") == found
    (folder / "0" / "c.0").rename(folder / "0" / "c.1")
    moved = compute_label_hash(str(folder))
    assert moved != found
    (folder / "0" / "c.1").write_bytes(b"chonk")
    assert compute_label_hash(str(folder)) not in (found, moved)


def test_large_labels_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    path.write_bytes(b"labels")
    monkeypatch.setattr(environment, "HASHED_BYTES", 3)
    assert compute_label_hash(str(path)).startswith("sha256-of-listing:")


def test_what_cannot_be_hashed():
    assert compute_label_hash("https://example.org/labels.zarr") is None
    assert compute_label_hash("/nowhere/at/all.tif") is None


def test_the_file(tmp_path):
    labels = tmp_path / "b.tif"
    labels.write_bytes(b"x")
    data = Data(
        train=(Pair(image="a.tif", labels=str(labels)),),
        validation=(Pair(image="c.tif", labels="d.tif"),),
    )
    write_environment(tmp_path / "environment.json", Experiment(data=data), device="cpu")
    found = json.loads((tmp_path / "environment.json").read_text())
    assert list(found["labels"]) == [str(labels), "d.tif"]
    assert found["labels"]["d.tif"] is None
    assert found["packages"]["numpy"]
    assert found["cores"] == count_usable_cores() >= 1


def test_git_revision(tmp_path, monkeypatch):
    assert read_git_revision(tmp_path) is None

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "one")
    revision = read_git_revision(tmp_path)
    assert len(revision) == 40
    (tmp_path / "a").write_text("2")
    assert read_git_revision(tmp_path) == f"{revision}-dirty"
    monkeypatch.setenv("PATH", "")
    assert read_git_revision(tmp_path) is None


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_it_says_what_was_asked(device):
    assert describe_environment(Experiment(), device=device)["device_asked"] == device
