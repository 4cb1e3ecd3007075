"""What a person can get wrong, and the one sentence that the command line answers with.

Every case goes through the real command line and the real trainer. It must end
with exit code 2 and one sentence on standard error that names what is wrong,
and leave every folder as it was.
"""

from __future__ import annotations

import errno
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_surfseg.config_files import load_experiment
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.lock import describe_this_worker, write_worker

TRAIN = ("train", "experiment.yaml", "--run-dir", "new/run", "--device", "cpu")


def train(*overrides):
    options = [part for override in overrides for part in ("--set", override)]
    return [*TRAIN, *options]


def use(image="image.tif", labels="labels.tif", **more):
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return train(f"data.train=[{{image: {image}, labels: {labels}{extra}}}]")


def predict(*options, image="image.tif", checkpoint="best.pt", output="out.tif"):
    return ["predict", image, "--checkpoint", checkpoint, "--output", output, *options]


def tif(name, change):
    """Return a preparation that writes a changed image or labels."""

    def prepare(folder):
        kind = "labels.tif" if "labels" in name else "image.tif"
        tifffile.imwrite(folder / name, change(tifffile.imread(folder / kind)))

    return prepare


def set_voxel(array, value, dtype=None):
    array = array.astype(dtype or array.dtype)
    array[3, 4, 5] = value
    return array


def text(name, content):
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def raw(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def truncated(name, source, keep):
    return lambda folder: (folder / name).write_bytes((folder / source).read_bytes()[:keep])


def make_run(folder, name="run", checkpoint=None):
    run = RunFolder(folder / name).create(load_experiment(folder / "experiment.yaml"))
    if checkpoint is not None:
        run.checkpoints.mkdir()
        run.last_checkpoint.write_bytes(checkpoint)
    return run


def busy_run(folder):
    run = make_run(folder)
    holder = replace(describe_this_worker(), pid=4711, host="other-machine")
    write_worker(run.worker_path, holder)


class Hostile:
    """Would leave a file behind if it were unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("it_was_run"),)


def hostile_checkpoint(folder):
    (folder / "hostile.pt").write_bytes(pickle.dumps(Hostile()))


def object_array(folder):
    np.save(folder / "objects.npy", np.array([Hostile()], dtype=object), allow_pickle=True)


def foreign_checkpoint(folder):
    import torch

    torch.save({"weights": torch.zeros(3)}, folder / "foreign.pt")


def empty_group(folder):
    zarr.open_group(str(folder / "group.zarr"), mode="w")


def overlapping_labels(folder):
    (folder / "overlap.yaml").write_text(
        "data: {train: {image: image.tif, labels: labels.tif},\n"
        "       labels: {foreground: [1], ignore: [1]}}\n"
    )


NAN, INF = float("nan"), float("inf")

# name: (preparation, arguments, words the sentence must contain)
REFUSALS = {
    # the arguments
    "no command": (None, [], ["COMMAND", "surfseg --help"]),
    "unknown command": (None, ["trian"], ["trian", "train"]),
    "missing argument": (None, ["predict", "image.tif"], ["--output"]),
    "unknown option": (None, ["runs", "--all"], ["--all"]),
    # the configuration
    "no such configuration": (None, ["train", "nowhere.yaml"], ["nowhere.yaml"]),
    "no such preset": (None, ["train", "exp002"], ["exp002", "exp001_3d_unet_topology_full"]),
    "broken YAML": (text("bad.yaml", "data: [\n"), ["train", "bad.yaml"], ["bad.yaml", "line 2"]),
    "a list for a mapping": (
        text("bad.yaml", "- 1\n"),
        ["train", "bad.yaml"],
        ["bad.yaml", "list"],
    ),
    "binary configuration": (raw("bad.yaml", b"\xff\xfe\x00"), ["train", "bad.yaml"], ["bad.yaml"]),
    "a key given twice": (
        text("bad.yaml", "model: {preset: tiny}\nmodel: {preset: base}\n"),
        ["train", "bad.yaml"],
        ["model is given twice", "line 2"],
    ),
    "unknown section": (
        None,
        train("trainning.max_epochs=3"),
        ["'trainning'", "did you mean training?"],
    ),
    "unknown key": (
        None,
        train("training.max_epoch=3"),
        ["'max_epoch'", "did you mean max_epochs?"],
    ),
    "value out of range": (
        None,
        train("training.max_epochs=0"),
        ["training.max_epochs", "above 0"],
    ),
    "value of the wrong kind": (
        None,
        train("training.workers=many"),
        ["training.workers", "'auto'"],
    ),
    "patch size of two numbers": (
        None,
        train("data.patch_size=[32,32]"),
        ["data.patch_size", "3 values"],
    ),
    "override without a value": (None, train("training.max_epochs"), ["KEY=VALUE"]),
    "two meanings for a value": (
        overlapping_labels,
        ["train", "overlap.yaml"],
        ["overlap.yaml", "data.labels", "value 1"],
    ),
    "no volumes named": (
        text("none.yaml", "model: {preset: tiny}\n"),
        ["train", "none.yaml"],
        ["none.yaml", "data.train"],
    ),
    "no loss at all": (
        None,
        train(
            "loss={weighted_bce: 0, soft_dice: 0, cldice: 0, morph_skeleton: 0, "
            "surface_distance: 0, toploss_simple: 0}"
        ),
        ["loss", "above 0"],
    ),
    # the volumes
    "no such image": (None, use(image="nowhere.tif"), ["nowhere.tif"]),
    "no such labels": (None, use(labels="nowhere.tif"), ["nowhere.tif"]),
    "different shapes": (
        tif("short.tif", lambda a: a[:-1]),
        use(image="short.tif"),
        ["short.tif", "labels.tif", "23", "24"],
    ),
    "NaN in the image": (
        tif("nan.tif", lambda a: set_voxel(a, NAN, np.float32)),
        use(image="nan.tif"),
        ["nan.tif", "NaN"],
    ),
    "infinity in the image": (
        tif("inf.tif", lambda a: set_voxel(a, INF, np.float32)),
        use(image="inf.tif"),
        ["inf.tif", "nfinit"],
    ),
    "a flat image": (
        tif("flat.tif", lambda a: np.full_like(a, 7)),
        use(image="flat.tif"),
        ["flat.tif"],
    ),
    "a picture of two axes": (
        tif("plane.tif", lambda a: a[0]),
        use(image="plane.tif"),
        ["plane.tif", "40"],
    ),
    "a colour image": (
        tif("rgb.tif", lambda a: np.stack([a] * 3, axis=-1)),
        use(image="rgb.tif"),
        ["rgb.tif"],
    ),
    "complex numbers": (
        tif("complex.tif", lambda a: a.astype(np.complex64)),
        use(image="complex.tif"),
        ["complex.tif", "complex"],
    ),
    "an empty file": (raw("empty.tif", b""), use(image="empty.tif"), ["empty.tif"]),
    "a damaged TIFF": (truncated("cut.tif", "image.tif", 60), use(image="cut.tif"), ["cut.tif"]),
    "text called TIFF": (text("words.tif", "not an image"), use(image="words.tif"), ["words.tif"]),
    "a damaged npy": (raw("cut.npy", b"\x93NUMPY\x01\x00v"), use(image="cut.npy"), ["cut.npy"]),
    "pickled objects in an npy": (object_array, use(image="objects.npy"), ["objects.npy"]),
    "an empty zarr group": (empty_group, use(image="group.zarr"), ["group.zarr"]),
    "a key that is not in the zarr": (
        empty_group,
        use(image='"group.zarr::7"'),
        ["group.zarr", "7"],
    ),
    "an unknown file type": (text("scan.xyz", "?"), use(image="scan.xyz"), ["scan.xyz"]),
    "labels of unknown meaning": (
        tif("labels9.tif", lambda a: set_voxel(a, 9)),
        use(labels="labels9.tif"),
        ["labels9.tif", "9"],
    ),
    "labels that are no whole numbers": (
        tif("labels_f.tif", lambda a: set_voxel(a, 0.5, np.float32)),
        use(labels="labels_f.tif"),
        ["labels_f.tif"],
    ),
    "labels that are all ignored": (
        tif("labels2.tif", lambda a: np.full_like(a, 2)),
        use(labels="labels2.tif"),
        ["labels2.tif", "ignore"],
    ),
    "labels without a surface": (
        tif("labels0.tif", np.zeros_like),
        use(labels="labels0.tif"),
        ["labels0.tif", "surface"],
    ),
    "a box outside the volume": (None, use(roi="[[0, 90], [0, 40], [0, 48]]"), ["image.tif", "90"]),
    "validation labels missing": (
        None,
        train("data.validation=[{image: image.tif, labels: gone.tif}]"),
        ["gone.tif"],
    ),
    # the run
    "a patch that does not fit the network": (
        None,
        train("data.patch_size=[17,32,32]"),
        ["data.patch_size", "17", "16"],
    ),
    "no GPU": (None, [*TRAIN[:-1], "cuda"], ["cuda", "cpu"]),
    "an unknown device": (None, [*TRAIN[:-1], "tpu"], ["tpu", "cuda"]),
    "a run that is there already": (
        make_run,
        ["train", "experiment.yaml", "--run-dir", "run"],
        ["run", "resume it"],
    ),
    "a folder of other things": (
        None,
        ["train", "experiment.yaml", "--run-dir", "."],
        ["not empty"],
    ),
    "a file for a folder": (
        None,
        ["train", "experiment.yaml", "--run-dir", "image.tif"],
        ["image.tif", "file"],
    ),
    "a run that is busy": (busy_run, ["train", "run"], ["process 4711", "other-machine"]),
    "resuming without a checkpoint": (make_run, ["train", "run", "--resume"], ["run", "last.pt"]),
    "resuming nothing": (
        None,
        ["train", "experiment.yaml", "--run-dir", "gone", "--resume"],
        ["gone"],
    ),
    "training a folder without a run": (
        lambda folder: (folder / "plain").mkdir(),
        ["train", "plain"],
        ["plain", "config.yaml"],
    ),
    # predicting
    "no such image to predict": (None, predict(image="nowhere.tif"), ["nowhere.tif"]),
    "no such checkpoint": (None, predict(checkpoint="gone.pt"), ["gone.pt"]),
    "a folder without checkpoints": (make_run, predict(checkpoint="run"), ["run", "best.pt"]),
    "a damaged checkpoint": (
        truncated("cut.pt", "best.pt", 5000),
        predict(checkpoint="cut.pt"),
        ["cut.pt"],
    ),
    "an empty checkpoint": (raw("empty.pt", b""), predict(checkpoint="empty.pt"), ["empty.pt"]),
    "a checkpoint of another program": (
        foreign_checkpoint,
        predict(checkpoint="foreign.pt"),
        ["foreign.pt"],
    ),
    "a checkpoint that would run code": (
        hostile_checkpoint,
        predict(checkpoint="hostile.pt"),
        ["hostile.pt"],
    ),
    "an output that exists": (text("out.tif", "mine"), predict(), ["out.tif", "exists"]),
    "the image as output": (None, predict("--overwrite", output="image.tif"), ["image.tif"]),
    "an unknown output type": (None, predict(output="out.png"), ["out.png", ".zarr", ".tif"]),
    "an output folder that is not there": (None, predict(output="gone/out.tif"), ["gone"]),
    "a threshold above 1": (None, predict("--threshold", "1.5"), ["--threshold", "1.5"]),
    "an overlap above 0.9": (None, predict("--overlap", "0.95"), ["--overlap", "0.95"]),
    "a negative size": (None, predict("--min-size", "-1"), ["--min-size", "-1"]),
    # scoring
    "no such prediction": (None, ["evaluate", "gone.tif", "labels.tif"], ["gone.tif"]),
    "shapes that differ": (
        tif("short.tif", lambda a: a[:, 1:]),
        ["evaluate", "short.tif", "labels.tif"],
        ["short.tif", "24 x 39 x 48", "24 x 40 x 48"],
    ),
    "NaN in a prediction": (
        tif("nan.tif", lambda a: set_voxel(a, NAN, np.float32)),
        ["evaluate", "nan.tif", "labels.tif"],
        ["nan.tif", "NaN"],
    ),
    "a negative tolerance": (
        None,
        ["evaluate", "labels.tif", "labels.tif", "--tolerance", "-1"],
        ["--tolerance"],
    ),
    "ignored and foreground": (
        None,
        ["evaluate", "labels.tif", "labels.tif", "--foreground", "2"],
        ["2", "--ignore"],
    ),
    "a voxel size of zero": (
        None,
        ["evaluate", "labels.tif", "labels.tif", "--spacing", "1,0,1"],
        ["--spacing"],
    ),
    # the rest
    "no run to report": (None, ["report", "gone"], ["gone", "does not exist"]),
    "nothing to report yet": (make_run, ["report", "run"], ["run", "nothing happened"]),
    "no folder of runs": (None, ["runs", "gone"], ["gone"]),
    "a phantom over something": (None, ["phantom", "."], ["exists"]),
    "a phantom without a voxel": (None, ["phantom", "p", "--shape", "0,9,9"], ["--shape", "0,9,9"]),
    "a demo over something": (None, ["demo", "--out", "."], ["not empty"]),
    "a demo of negative length": (None, ["demo", "--minutes", "-1"], ["--minutes", "-1"]),
}


def look(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def place(volumes, config, checkpoint):
    """Return the current folder, with volumes, a configuration and a checkpoint."""
    (volumes / "best.pt").write_bytes(checkpoint.read_bytes())
    return volumes


def expect(surfseg, arguments, words):
    code, out, err = surfseg(*arguments)
    assert code == 2, (out, err)
    # A progress line may have come before; the last word is the sentence.
    lines = [line for line in err.splitlines() if not line.startswith("predicting: ")]
    assert len(lines) == 1, err
    assert err.endswith(".\n"), err
    for word in words:
        assert word in err, err
    for leak in ("Traceback", "constrained", "pydantic", "Errno", "object at 0x"):
        assert leak not in err
    assert "Traceback" not in out


def test_there_are_at_least_thirty():
    assert len(REFUSALS) >= 30


@pytest.mark.parametrize("name", REFUSALS)
def test_it_is_refused_in_one_sentence_and_leaves_nothing(surfseg, place, name):
    prepare, arguments, words = REFUSALS[name]
    if prepare is not None:
        prepare(place)
    before = look(place)
    expect(surfseg, arguments, words)
    assert look(place) == before


# ---- errors of the machine


def fill_disk_at(monkeypatch, suffix):
    """Let every write to the disk fail from the first file with this ending on."""
    flush = os.fsync

    def fail(handle):
        name = (
            str(Path(f"/proc/self/fd/{handle}").readlink()) if sys.platform == "linux" else suffix
        )
        if suffix in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.skipif(sys.platform != "linux", reason="finds files by their handles in /proc")
@pytest.mark.parametrize(
    ("suffix", "arguments", "words"),
    [
        ("out.tif", predict(), ["disk is full", "out.tif"]),
        (
            "config.yaml",
            ["train", "experiment.yaml", "--run-dir", "new/run"],
            ["disk is full", "config.yaml"],
        ),
    ],
)
def test_a_full_disk(surfseg, place, monkeypatch, suffix, arguments, words):
    before = look(place)
    fill_disk_at(monkeypatch, suffix)
    expect(surfseg, arguments, words)
    assert look(place) == before


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(surfseg, place):
    locked = place / "locked"
    locked.mkdir(mode=0o500)
    before = look(place)
    expect(surfseg, [*TRAIN[:3], "locked/run", *TRAIN[4:]], ["locked"])
    expect(surfseg, predict(output="locked/out.tif"), ["locked"])
    assert look(place) == before


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_resuming_from_a_damaged_checkpoint(surfseg, place, checkpoint, damage):
    """The sentence names the file, and the run keeps what it has."""
    whole = checkpoint.read_bytes()
    run = make_run(place, checkpoint=whole[: len(whole) // 2] if damage == "cut" else whole)
    kept = run.last_checkpoint.read_bytes()
    expect(surfseg, ["train", "run", "--resume", "--device", "cpu"], ["last.pt"])
    assert run.last_checkpoint.read_bytes() == kept
    assert not run.worker_path.exists()
