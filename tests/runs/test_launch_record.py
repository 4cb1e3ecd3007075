"""Paths of two machines, and the record of a job."""

import json

import pytest

from napari_surfseg.runs.launch_record import (
    LaunchRecord,
    note_real_paths,
    read_launch,
    to_here,
    to_there,
    write_launch,
)


def record_of(*paths):
    return LaunchRecord(launcher="lab", title="lab", paths=paths)


@pytest.mark.parametrize(
    ("here", "there", "source", "mapped"),
    [
        ("/mnt/lab", "/gpfs/lab", "/mnt/lab/a b/it's.zarr::1", "/gpfs/lab/a b/it's.zarr::1"),
        ("/mnt/lab", "/gpfs/lab", "/mnt/lab", "/gpfs/lab"),
        ("/mnt/lab/", "/gpfs/lab/", "/mnt/lab/a.tif", "/gpfs/lab/a.tif"),
        ("/mnt/lab", "/gpfs/lab", "/mnt/laboratory/a.tif", "/mnt/laboratory/a.tif"),
        ("/mnt/lab", "/gpfs/lab", "https://host/mnt/lab/a.zarr", "https://host/mnt/lab/a.zarr"),
        ("/", "/host", "/a.tif", "/host/a.tif"),
        ("Z:\\lab", "/gpfs/lab", "z:\\Lab\\sub\\a.zarr::raw", "/gpfs/lab/sub/a.zarr::raw"),
        ("Z:/lab", "/gpfs/lab", "Z:/lab/a.tif", "/gpfs/lab/a.tif"),
        ("\\\\nas\\lab", "/gpfs/lab", "\\\\nas\\lab\\a.tif", "/gpfs/lab/a.tif"),
        ("/mnt/lab", "D:\\lab", "/mnt/lab/s/a.tif", "D:\\lab\\s\\a.tif"),
    ],
)
def test_a_path_is_mapped_to_there_and_back(tmp_path, here, there, source, mapped):
    record = record_of((here, there))
    assert to_there(source, record) == mapped
    back = to_here(mapped, record, tmp_path)
    assert back.replace("/", "\\").lower() == source.replace("/", "\\").lower()


def test_the_longest_folder_counts(tmp_path):
    record = record_of(("/mnt", "/a"), ("/mnt/lab", "/b"))
    assert to_there("/mnt/lab/x", record) == "/b/x"
    assert to_there("/mnt/other/x", record) == "/a/other/x"


def test_links_are_seen_through_on_both_sides(tmp_path):
    for name in ("here", "there"):
        (tmp_path / f"real {name}").mkdir()
        (tmp_path / name).symlink_to(tmp_path / f"real {name}")
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    write_launch(tmp_path, record_of((here, there)))
    note_real_paths(tmp_path)
    record = read_launch(tmp_path)
    assert to_there(str(tmp_path / "real here" / "a"), record) == f"{there}/a"
    assert to_here(str(tmp_path / "real there" / "a"), record, tmp_path) == f"{here}/a"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"launcher": ""}', '{"launcher": "a"}', '{"paths": [1]}', "\xff"]
)
def test_what_is_no_record_is_none(tmp_path, text):
    (tmp_path / "launch.json").write_text(text, encoding="latin-1")
    assert read_launch(tmp_path) is None


def test_a_record_of_another_version_is_read(tmp_path):
    write_launch(tmp_path, record_of(("/a", "/b")))
    values = json.loads((tmp_path / "launch.json").read_text())
    (tmp_path / "launch.json").write_text(json.dumps(values | {"new": 1}))
    assert read_launch(tmp_path).paths == (("/a", "/b"),)
    assert read_launch(tmp_path / "nowhere") is None
