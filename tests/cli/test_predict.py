import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.runs.folder import RunFolder


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_predicting(surfseg, volumes, checkpoint, name, read):
    code, out, err = surfseg("predict", "image.tif", "--checkpoint", checkpoint, "--output", name)
    assert code == 0, err
    assert "100 %" in err
    assert f"surfaces of image.tif, 24 × 40 × 48, in {name}:" in out
    found = read(name)
    assert found.shape == (24, 40, 48)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1}


def test_probabilities_and_thresholds_fit_each_other(surfseg, volumes, checkpoint, read):
    common = ("predict", "image.tif", "--checkpoint", checkpoint)
    assert surfseg(*common, "--output", "p.tif", "--probabilities")[0] == 0
    probabilities = read("p.tif")
    level = float(np.median(probabilities)) / 255
    assert surfseg(*common, "--output", "s.tif", "--threshold", level)[0] == 0
    surfaces = read("s.tif")
    # The file holds 256 steps, the threshold acts on what they stand for.
    clear = np.abs(probabilities / 255 - level) > 1 / 255
    np.testing.assert_array_equal(surfaces[clear], (probabilities / 255 > level)[clear])


def test_small_pieces_can_be_left_out(surfseg, volumes, checkpoint, read):
    common = ("predict", "image.tif", "--checkpoint", checkpoint)
    assert surfseg(*common, "--output", "all.tif")[0] == 0
    assert surfseg(*common, "--output", "none.tif", "--min-size", 10**9)[0] == 0
    assert read("none.tif").sum() == 0


def test_the_files_spacing_goes_along(surfseg, volumes, checkpoint):
    code, _, _ = surfseg(
        "predict",
        "image.tif",
        "--checkpoint",
        checkpoint,
        "--output",
        "o.zarr",
        "--spacing",
        "2,0.5,0.5",
    )
    assert code == 0
    assert open_volume("o.zarr").spacing == (2.0, 0.5, 0.5)


def test_a_run_folder_stands_for_its_best_checkpoint(surfseg, volumes, checkpoint, config):
    from napari_surfseg.config_files import load_experiment

    folder = RunFolder("run").create(load_experiment(config))
    folder.checkpoints.mkdir()
    folder.best_checkpoint.write_bytes(checkpoint.read_bytes())
    for place in ("run", "run/checkpoints"):
        code, _, err = surfseg(
            "predict", "image.tif", "--checkpoint", place, "--output", "o.tif", "--overwrite"
        )
        assert code == 0, err


@pytest.mark.parametrize(
    "arguments", [(), ("--network", "sheets-tiny"), ("--checkpoint", "sheets-tiny")]
)
def test_a_network_of_the_package_needs_no_run(surfseg, volumes, registry, read, arguments):
    registry.add()
    code, out, err = surfseg("predict", "image.tif", "--output", "o.tif", *arguments)
    assert code == 0, err
    assert "in o.tif" in out
    assert out.endswith("by sheets-tiny\n")
    assert read("o.tif").shape == (24, 40, 48)


def test_without_one_a_checkpoint_is_wanted(surfseg, volumes, registry):
    code, _, err = surfseg("predict", "image.tif", "--output", "o.tif")
    assert code == 2
    assert err == "No network comes with this installation; name a checkpoint.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--network", "other"), "There is no network 'other' in this package; there is sheets"),
        (("--checkpoint", "other"), "There is no checkpoint other, nor a network of that name; "),
        (("--checkpoint", "other/best.pt"), "There is no checkpoint other/best.pt.\n"),
    ],
)
def test_other_names_are_refused(surfseg, volumes, registry, arguments, said):
    registry.add()
    code, _, err = surfseg("predict", "image.tif", "--output", "o.tif", *arguments)
    assert code == 2
    assert err.startswith(said)


def test_a_volume_is_normalised_by_its_own_values(surfseg, volumes, registry, read):
    """Another type and range of the same image give the same surfaces."""
    import tifffile

    registry.add()
    assert surfseg("predict", "image.tif", "--output", "bytes.tif", "--probabilities")[0] == 0
    for dtype, scale in ((np.uint16, 200.0), (np.float32, 1 / 255)):
        tifffile.imwrite("other.tif", (read("image.tif") * scale).astype(dtype))
        common = ("--output", "other_p.tif", "--probabilities", "--overwrite")
        code, _, err = surfseg("predict", "other.tif", *common)
        assert code == 0, err
        assert "warning: The grey values" not in err
        difference = np.abs(read("other_p.tif").astype(int) - read("bytes.tif"))
        assert np.percentile(difference, 95) <= 8
