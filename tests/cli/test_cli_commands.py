import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_surfseg import __version__
from napari_surfseg.cli.main import build_parser
from napari_surfseg.data.volume import open_volume
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import read_state
from napari_surfseg.runs.report.held_out_section import describe_held_out

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
COMMANDS = ("train", "predict", "evaluate", "report", "runs", "phantom", "demo")


def read(path):
    volume = open_volume(path)
    return volume.read((0, 0, 0), volume.shape)


# ---- around the commands


def test_help_names_every_command(surfseg):
    code, out, err = surfseg("--help")
    assert (code, err) == (0, "")
    for name in COMMANDS:
        assert f"\n    {name} " in out
    assert "surfseg demo" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(surfseg, name):
    code, out, _ = surfseg(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: surfseg {name}")
    assert "--debug" in out


def test_the_version(surfseg):
    assert surfseg("--version") == (0, f"napari-surfseg {__version__}\n", "")


def test_help_and_refusals_load_no_torch():
    script = (
        "import sys; from napari_surfseg.cli.main import main\n"
        "assert main(['--help']) == 0 and main(['train', 'nowhere.yaml']) == 2\n"
        "assert main(['predict', 'a.tif', '--checkpoint', 'b.pt', '--output', 'c.tif']) == 2\n"
        "heavy = {'torch', 'monai', 'zarr', 'matplotlib', 'napari'} & set(sys.modules)\n"
        "assert heavy <= {'zarr'}, heavy\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_python_m_is_the_same_program():
    result = subprocess.run(
        [sys.executable, "-m", "napari_surfseg", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"napari-surfseg {__version__}\n"


def test_a_fault_of_the_program_is_a_sentence_too(surfseg, monkeypatch, tmp_path):
    from napari_surfseg.runs import listing

    def break_down(folder):
        raise KeyError("oops")

    monkeypatch.setattr(listing, "list_runs", break_down)
    code, _, err = surfseg("runs", tmp_path)
    assert code == 1
    assert err == "Something unforeseen went wrong: KeyError: 'oops'; --debug shows where.\n"
    assert "Traceback" in surfseg("runs", tmp_path, "--debug")[2]


def test_an_interrupt_ends_with_its_own_code(surfseg, monkeypatch, tmp_path):
    from napari_surfseg.runs import listing

    def interrupt(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "list_runs", interrupt)
    assert surfseg("runs", tmp_path) == (130, "", "Interrupted.\n")


def test_a_reader_that_went_away_is_no_fault(volumes):
    """``surfseg --help | true``."""
    result = subprocess.run(
        f"{sys.executable} -m napari_surfseg train --help | {sys.executable} -c pass",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr


def test_arguments_have_one_meaning():
    options = build_parser().parse_args(
        ["evaluate", "a", "b", "--spacing", "2", "--ignore", "none", "--foreground", "1,3"]
    )
    assert options.spacing == (2.0, 2.0, 2.0)
    assert options.ignore == ()
    assert options.foreground == (1, 3)


# ---- predict


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_predicting(surfseg, volumes, checkpoint, name):
    code, out, err = surfseg("predict", "image.tif", "--checkpoint", checkpoint, "--output", name)
    assert code == 0, err
    assert "100 %" in err
    assert f"surfaces of image.tif, 24 × 40 × 48, in {name}:" in out
    found = read(name)
    assert found.shape == (24, 40, 48)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1}


def test_probabilities_and_thresholds_fit_each_other(surfseg, volumes, checkpoint):
    common = ("predict", "image.tif", "--checkpoint", checkpoint)
    assert surfseg(*common, "--output", "p.tif", "--probabilities")[0] == 0
    probabilities = read("p.tif")
    level = float(np.median(probabilities)) / 255
    assert surfseg(*common, "--output", "s.tif", "--threshold", level)[0] == 0
    surfaces = read("s.tif")
    # The file holds 256 steps, the threshold acts on what they stand for.
    clear = np.abs(probabilities / 255 - level) > 1 / 255
    np.testing.assert_array_equal(surfaces[clear], (probabilities / 255 > level)[clear])


def test_small_pieces_can_be_left_out(surfseg, volumes, checkpoint):
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


# ---- evaluate


def test_a_perfect_prediction(surfseg, volumes):
    code, out, err = surfseg("evaluate", "labels.tif", "labels.tif")
    assert (code, err) == (0, "")
    for name in ("surface_dice", "voi_score", "dice", "precision", "recall"):
        assert f"\n{name}" in f"\n{out}"
    assert out.count("1.0000") >= 5
    assert "b1 tunnels" in out


def test_json(surfseg, volumes):
    code, out, _ = surfseg("evaluate", "labels.tif", "labels.tif", "--json")
    assert code == 0
    scores = json.loads(out)
    assert scores["surface_dice"] == scores["dice"] == 1.0
    assert scores["voi_split"] == 0


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="../shared/reference is not here")
def test_reference_values_through_files(surfseg, tmp_path):
    expected = json.loads((REFERENCE / "surface_metric_expected_given.json").read_text())
    name = min(expected)
    with np.load(REFERENCE / "surface_metric_cases_given.npz") as cases:
        tifffile.imwrite(tmp_path / "pred.tif", cases[f"{name}_pred"])
        zarr.save_array(tmp_path / "label.zarr", cases[f"{name}_label"])
    code, out, _ = surfseg("evaluate", tmp_path / "pred.tif", tmp_path / "label.zarr", "--json")
    assert code == 0
    scores = json.loads(out)
    for key in ("surface_dice", "voi_score", "voi_split", "voi_merge"):
        assert scores[key] == pytest.approx(expected[name][key], abs=1e-6)


def test_which_labels_count(surfseg, volumes):
    labels = read("labels.tif")
    masks = np.where(labels == 1, np.uint8(255), np.uint8(7))
    tifffile.imwrite("masks.tif", masks)
    tifffile.imwrite("half.tif", np.where(np.arange(48) < 24, masks, np.uint8(2)))
    surface = {
        "labels.tif": (),
        "masks.tif": ("--foreground", "255"),
        "half.tif": ("--foreground", "255"),
    }
    for name, options in surface.items():
        _, out, _ = surfseg("evaluate", "labels.tif", name, "--json", *options)
        assert json.loads(out)["dice"] == 1.0, name
    # Without it, every value but 0 and the ignored ones is surface: everything here.
    _, out, _ = surfseg("evaluate", "labels.tif", "masks.tif", "--json")
    assert json.loads(out)["dice"] < 0.5
    # Scored although it is 2, because nothing is ignored.
    _, out, _ = surfseg(
        "evaluate", "labels.tif", "half.tif", "--json", "--ignore", "none", "--foreground", "255"
    )
    assert json.loads(out)["recall"] == 1.0
    assert json.loads(out)["precision"] < 1.0


def test_probabilities_are_cut_where_asked(surfseg, volumes):
    labels = read("labels.tif").astype(np.float32)
    tifffile.imwrite("float.tif", 0.2 + 0.5 * labels)
    tifffile.imwrite("bytes.tif", (255 * (0.2 + 0.5 * labels)).astype(np.uint8))
    for name in ("float.tif", "bytes.tif"):
        _, out, err = surfseg("evaluate", name, "labels.tif", "--json", "--threshold", "0.4")
        assert json.loads(out)["dice"] == 1.0
        assert err == ""
    code, _, err = surfseg("evaluate", "float.tif", "labels.tif")
    assert code == 0
    assert err.startswith("warning: float.tif looks like probabilities;")


def test_the_tolerance_is_in_units_of_the_spacing(surfseg, volumes):
    labels = read("labels.tif")
    tifffile.imwrite("moved.tif", np.roll(labels, 1, axis=1))

    def score(*options):
        _, out, _ = surfseg("evaluate", "moved.tif", "labels.tif", "--json", *options)
        return json.loads(out)["surface_dice"]

    assert score("--tolerance", "2") > 0.95
    assert score("--tolerance", "0") < 0.9
    far = score("--tolerance", "2", "--spacing", "9,9,9")
    assert far == pytest.approx(score("--tolerance", "0"))
    assert score("--spacing", "file") == score()


def test_the_topology_errors_as_a_table(surfseg, tmp_path):
    """A hole torn into a sheet, and a speck beside it."""
    label = np.zeros((24, 32, 32), np.uint8)
    label[5:7] = 1
    pred = label.copy()
    pred[5:7, 6:9, 20:23] = 0
    pred[9, 3:5, 3:5] = 1
    tifffile.imwrite(tmp_path / "pred.tif", pred)
    tifffile.imwrite(tmp_path / "label.tif", label)
    table = tmp_path / "errors.csv"
    common = ("evaluate", tmp_path / "pred.tif", tmp_path / "label.tif", "--errors", table)
    code, out, err = surfseg(*common)
    assert (code, err) == (0, "")
    assert f"topology errors: 2 (1 extra component, 1 hole), in {table}" in out
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert [row[0] for row in rows] == ["error", "hole", "extra component"]
    assert rows[1][7:] == ["18", "5", "6", "20", "7", "9", "23"]
    assert rows[2][7:] == ["4", "9", "3", "3", "10", "5", "5"]
    code, out, _ = surfseg(*common, "--json")
    assert json.loads(out)["topo_pred_1"] == 1
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "no" / "e.csv", "no folder")):
        code, _, err = surfseg(*common[:-1], place)
        assert code == 2
        assert said in err


# ---- report, runs, phantom, demo


def test_runs_and_report(surfseg, config, quick_trainer, monkeypatch):
    assert surfseg("train", config, "--run-dir", "runs/first")[0] == 0
    code, out, err = surfseg("runs")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["first", "completed"]]
    assert surfseg("runs", "runs/first")[1] == out
    code, out, _ = surfseg("runs", ".")
    assert (code, out) == (0, "There are no runs in ..\n")
    code, out, _ = surfseg("report", "runs/first")
    assert code == 0
    assert out.startswith("report: ")


def test_the_phantom(surfseg, volumes):
    code, out, err = surfseg("phantom", "scroll", "--shape", "16,180,180", "--seed", "3")
    assert code == 0, err
    assert "scroll/image.zarr" in out.replace("\\", "/")
    image, labels = read("scroll/image.zarr"), read("scroll/labels.zarr")
    assert image.shape == labels.shape == (16, 180, 180)
    assert set(np.unique(labels)) <= {0, 1, 2}
    surfseg("phantom", "again", "--shape", "16,180,180", "--seed", "3")
    np.testing.assert_array_equal(read("again/image.zarr"), image)
    surfseg("phantom", "sparse", "--shape", "16,180,180", "--seed", "3", "--strokes")
    sparse = read("sparse/labels.zarr")
    assert (sparse == 2).mean() > (labels == 2).mean()


def test_the_demo_from_start_to_end(surfseg, volumes, quick_trainer, checkpoint, monkeypatch):
    """Everything but the training itself, which is the fake's."""
    from napari_surfseg import config_files as configuration

    small = configuration.apply_overrides(
        configuration.load_preset("demo"), ["data.phantom.shape=[60, 160, 160]"]
    )
    monkeypatch.setattr(configuration, "load_preset", lambda name: small)

    def save(trainer, epoch, step):
        (trainer.checkpoints / "best.pt").write_bytes(checkpoint.read_bytes())

    quick_trainer["script"] = save
    code, out, err = surfseg("demo", "--device", "cpu", "--minutes", "0.1")
    assert code == 0, err
    folder = RunFolder("demo_run")
    assert read_state(folder.path) is RunState.COMPLETED
    for heading in ("1/4", "2/4", "3/4", "4/4", "surface_dice", "report ", "checkpoint "):
        assert heading in out
    experiment = folder.read_experiment()
    assert experiment.training.max_minutes == 0.1
    # The last fifth is held out, with a gap: neither trained nor validated on.
    assert experiment.data.train[0].roi == ((0, 40), (0, 160), (0, 160))
    found = read(folder.path / "held_out_surfaces.tif")
    assert found.shape == (12, 160, 160)
    assert set(np.unique(found)) <= {0, 1}
    assert (folder.report_folder / "held_out.png").stat().st_size > 10_000
    assert "with post-processing" in out
    report = "\n".join(describe_held_out(folder))
    assert "![The part that was held out](report/held_out.png)" in report
    # The two columns are scores of what lies in the folder.
    probabilities = read(folder.path / "held_out_probabilities.tif")
    scroll = open_volume(str(folder.phantom / "labels.zarr"))
    truth = scroll.read((48, 0, 0), scroll.shape)
    row = next(line for line in report.splitlines() if line.startswith("| surface_dice"))
    shown = [float(cell) for cell in row.split("|")[2:4]]
    for value, mask in zip(shown, (probabilities > 127, found), strict=True):
        expected = compute_metrics(mask, truth, with_topology=False)["surface_dice"]
        assert value == pytest.approx(expected, abs=1e-4)
    assert surfseg("demo", "--out", "demo_run")[0] == 2


@pytest.mark.slow
def test_the_real_demo(surfseg, volumes):
    code, out, err = surfseg("demo", "--device", "cpu", "--minutes", "0.3")
    assert code == 0, err
    folder = RunFolder("demo_run")
    assert folder.report_path.exists()
    assert folder.best_checkpoint.exists()
    assert "surface_dice" in out
