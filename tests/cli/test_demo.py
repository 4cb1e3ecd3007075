import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import read_state
from napari_surfseg.runs.report.held_out_section import describe_held_out


def test_the_demo_from_start_to_end(surfseg, volumes, quick_trainer, checkpoint, monkeypatch, read):
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
