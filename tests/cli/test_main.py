import subprocess
import sys

from napari_surfseg import __version__


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


def test_an_error_of_the_program_is_a_sentence_too(surfseg, monkeypatch, tmp_path):
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


def test_a_reader_that_went_away_is_no_error(volumes):
    """``surfseg --help | true``."""
    result = subprocess.run(
        f"{sys.executable} -m napari_surfseg train --help | {sys.executable} -c pass",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr
