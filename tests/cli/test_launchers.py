"""``surfseg launchers`` lists, explains and copies."""

import pytest

from napari_surfseg.cli.main import main
from napari_surfseg.runs.launchers import library


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setattr(
        library.platformdirs, "user_config_path", lambda *_a, **_k: tmp_path / "config"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config" / "launchers"


def test_an_example_is_copied_and_listed(own_folder, capsys):
    assert main(["launchers"]) == 0
    assert "There are no launchers; surfseg launchers --example copies one of lsf, sge, slurm" in (
        capsys.readouterr().out
    )
    assert main(["launchers", "--example", "slurm"]) == 0
    assert capsys.readouterr().out.startswith(f"{own_folder / 'slurm.yaml'}: adapt it")
    (own_folder / "broken.yaml").write_text("titel: x")
    assert main(["launchers"]) == 0
    table, _, wrong = capsys.readouterr().out.partition("not valid: ")
    assert "slurm" in table
    assert "broken" not in table
    assert wrong.startswith(f"In {own_folder / 'broken.yaml'}, there is no setting 'titel'; did")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["launchers", "--example", "pbs"], "There is no example 'pbs'; there are lsf, sge"),
        (["train", "{}", "--launcher", "gpu"], "There is no launcher 'gpu'; there are none yet"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_written(tmp_path, capsys, arguments, said):
    (tmp_path / "my.yaml").write_text("data: {train: [{image: a.tif, labels: b.tif}]}")
    assert main([argument.replace("{}", "my.yaml") for argument in arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
