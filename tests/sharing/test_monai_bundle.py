"""A bundle is run with MONAI itself, in a process in which this package cannot be imported."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import napari_surfseg as surfseg
from napari_surfseg.errors import OutputError
from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.model.open_network import open_network
from napari_surfseg.sharing.export import export_network
from napari_surfseg.sharing.settings import ShareSettings

pytest.importorskip("monai", reason="MONAI is not installed: pip install napari-surfseg[share]")

#: A network that was not trained finds surface anywhere.
pytestmark = pytest.mark.filterwarnings("ignore:.*taken for surface")


@pytest.fixture
def bundle(tmp_path, checkpoint_path):
    return export_network(checkpoint_path, tmp_path / "walls")


@pytest.fixture
def run_monai(tmp_path):
    """Run ``python -m monai.bundle`` as somebody does who has MONAI alone."""
    blocker = tmp_path / "blocker" / "napari_surfseg"
    blocker.mkdir(parents=True)
    (blocker / "__init__.py").write_text("raise ImportError('this package is not here')")

    def run(*arguments, cwd=tmp_path):
        pytest.importorskip("fire", reason="MONAI's command line needs fire")
        done = subprocess.run(
            [sys.executable, "-m", "monai.bundle", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(blocker.parent)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return run


def read_result(path):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.load(path)
    return np.asarray(image.dataobj).transpose(), image


def compare(found, expected):
    """Equal within a grey level."""
    assert found.shape == expected.shape
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1, (difference.max(), (difference > 1).mean())


def test_monai_gives_what_predict_gives(tmp_path, bundle, run_monai, volume, checkpoint_path):
    """From another folder; the volume as npy, TIFF and NIfTI, whose place is kept."""
    tifffile = pytest.importorskip("tifffile")
    nibabel = pytest.importorskip("nibabel")
    data = tmp_path / "data"
    data.mkdir()
    np.save(data / "one.npy", volume)
    tifffile.imwrite(data / "two.tif", volume)
    affine = np.array([[4.0, 0, 0, 7], [0, 4, 0, 8], [0, 0, 8, 9], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(volume.transpose(), affine), data / "three.nii.gz")
    run_monai(
        "run", "--config_file", bundle / "configs/inference.json", "--dataset_dir", data,
        "--output_dir", tmp_path / "out",
    )  # fmt: skip
    expected = surfseg.predict(volume, checkpoint_path, probabilities=True)
    assert np.ptp(expected) > 20
    for name in ("one", "two", "three"):
        found, image = read_result(tmp_path / f"out/{name}_probabilities.nii.gz")
        compare(found, expected)
        surface, _ = read_result(tmp_path / f"out/{name}_surface.nii.gz")
        clear = np.abs(expected / 255 - 0.37) > 1 / 128
        assert np.array_equal((expected / 255 > 0.37)[clear], surface[clear].astype(bool))
    assert np.allclose(image.affine, affine)


@pytest.mark.slow
@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("own", [True, False], ids=["own grey values", "those trained on"])
def test_monai_gives_what_predict_gives_with_other_settings(
    tmp_path, tiny_checkpoint, run_monai, volume, flips, own
):
    """Run from within the bundle, on one file that is thinner than a window."""
    experiment = tiny_checkpoint.experiment
    inference = experiment.inference.model_copy(update={"flips": flips, "overlap": 0.5})
    checkpoint = dataclasses.replace(
        tiny_checkpoint,
        experiment=experiment.model_copy(update={"inference": inference}),
        intensity=None if own else tiny_checkpoint.intensity,
    )
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    bundle = export_network(tmp_path / "best.pt", tmp_path / "bundle")
    thin = volume[:5]
    np.save(tmp_path / "thin.npy", thin)
    run_monai(
        "run", "--config_file", "configs/inference.json", "--dataset_dir", tmp_path / "thin.npy",
        cwd=bundle,
    )  # fmt: skip
    found, _ = read_result(bundle / "eval/thin_probabilities.nii.gz")
    compare(found, surfseg.predict(thin, tmp_path / "best.pt", probabilities=True))


@pytest.mark.slow
def test_monai_verifies_what_goes_in_and_comes_out(bundle, run_monai):
    run_monai(
        "verify_net_in_out", "--net_id", "network_def", "--n", "2", "--p", "1",
        "--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json",
        cwd=bundle,
    )  # fmt: skip


def test_a_bundle_is_read_again(bundle, tiny_checkpoint, checkpoint_path, volume):
    found = open_network(bundle)
    assert found.threshold == tiny_checkpoint.threshold
    assert found.postprocess == tiny_checkpoint.postprocess
    assert np.array_equal(surfseg.predict(volume, bundle), surfseg.predict(volume, checkpoint_path))


def test_what_lies_in_a_bundle(bundle, tiny_checkpoint):
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert {
        "LICENSE", "configs/inference.json", "configs/metadata.json", "configs/logging.conf",
        "docs/README.md", "models/model.pt", "models/model.safetensors", "models/model.json",
        "scripts/__init__.py", "scripts/inference.py", "scripts/network.py",
    } == names  # fmt: skip
    metadata = json.loads((bundle / "configs/metadata.json").read_text())
    facts = metadata["volume_facts"]
    assert facts["spacing"] == [8.0, 4.0, 4.0]
    assert facts["units"] == "nanometer"
    assert facts["intensity"]["low"] == 100.0
    assert metadata["network_data_format"]["inputs"]["image"]["num_channels"] == 1
    weights = torch.load(bundle / "models/model.pt", weights_only=True)
    assert weights.keys() == tiny_checkpoint.weights.keys()


def test_nothing_is_left_of_a_bundle_that_failed(tmp_path, checkpoint_path, monkeypatch):
    def full_disk(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_surfseg.sharing.monai_bundle.write_card", full_disk)
    with pytest.raises(OutputError, match="disk is full"):
        export_network(checkpoint_path, tmp_path / "walls")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.json", "best.pt"]


def test_a_bundle_is_replaced_only_when_asked(tmp_path, bundle, checkpoint_path):
    with pytest.raises(OutputError, match="exists already"):
        export_network(checkpoint_path, bundle)
    again = ShareSettings(title="Other", overwrite=True)
    export_network(checkpoint_path, bundle, settings=again)
    assert "# Other" in (bundle / "docs/README.md").read_text()
