"""What is shipped: the wheel and the source distribution, built as a release would be."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

import napari_surfseg
from napari_surfseg.networks.registry import list_networks

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_surfseg"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the source distribution and the wheel made from it."""
    pytest.importorskip("build", reason="build comes with the dev extra")
    pytest.importorskip("hatchling", reason="hatchling comes with the dev extra")
    folder = tmp_path_factory.mktemp("dist")
    result = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files as an installer would lay them out."""
    folder = tmp_path_factory.mktemp("site")
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _run_from(folder: Path, code: str) -> str:
    """Run code in a fresh process that finds the unpacked wheel before the editable install."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_wheel_holds_the_package_whole(unpacked: Path) -> None:
    shipped = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    expected = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected <= shipped
    assert "napari_surfseg/napari.yaml" in shipped
    assert "napari_surfseg/py.typed" in shipped
    assert "napari_surfseg/presets/exp001_3d_unet_topology_full.yaml" in shipped


def test_wheel_holds_nothing_else(unpacked: Path) -> None:
    [metadata] = unpacked.glob("napari_surfseg-*.dist-info")
    assert {path.name for path in unpacked.iterdir()} == {"napari_surfseg", metadata.name}
    assert (metadata / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_wheel_imports_and_reads_its_presets(unpacked: Path) -> None:
    code = (
        "import napari_surfseg, napari_surfseg.config_files as c;"
        "print(napari_surfseg.__file__, c.load_preset(c.preset_names()[0]) is not None)"
    )
    file, read = _run_from(unpacked, code).rsplit(" ", 1)
    assert Path(file).resolve().is_relative_to(unpacked.resolve())
    assert read == "True"


def test_wheel_stays_small(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    assert wheel.stat().st_size < 8e6


def test_wheel_predicts_without_a_run_and_without_a_connection(
    unpacked: Path, tmp_path: Path
) -> None:
    if not list_networks():
        pytest.skip("no network comes with the package")
    z, y, x = np.mgrid[:48, :64, :64]
    image = 160 - 90 * (np.abs((y + 0.3 * x + 0.2 * z) % 24 - 12) < 1.3)
    noisy = image + np.random.default_rng(0).normal(0, 8, image.shape)
    tifffile.imwrite(tmp_path / "membranes.tif", noisy.astype(np.uint8))
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('there is no connection')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from napari_surfseg.cli.main import main\n"
        f"sys.exit(main(['predict', {str(tmp_path / 'membranes.tif')!r}, '--output', "
        f"{str(tmp_path / 'surfaces.tif')!r}, '--device', 'cpu']))"
    )
    assert f"by {list_networks()[0].name}" in _run_from(unpacked, code)
    found = tifffile.imread(tmp_path / "surfaces.tif") > 0
    near = np.abs((y + 0.3 * x + 0.2 * z) % 24 - 12) < 3
    assert (found & near).sum() > 0.9 * found.sum()
    assert found.sum() > 0.5 * (np.abs((y + 0.3 * x + 0.2 * z) % 24 - 12) < 1.3).sum()


def test_wheel_announces_its_command_and_its_manifest(unpacked: Path) -> None:
    code = (
        "import importlib.metadata as m;"
        "[d] = m.distributions(name='napari-surfseg', path=['.']);"
        "print(d.version, *sorted(f'{e.group}:{e.name}={e.value}' for e in d.entry_points))"
    )
    assert _run_from(unpacked, code).split() == [
        napari_surfseg.__version__,
        "console_scripts:surfseg=napari_surfseg.cli.main:main",
        "napari.manifest:napari-surfseg=napari_surfseg:napari.yaml",
    ]


def test_wheel_manifest_is_valid(unpacked: Path) -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 comes with napari")
    manifest = npe2.PluginManifest.from_file(unpacked / "napari_surfseg" / "napari.yaml")
    assert manifest.name == "napari-surfseg"
    assert manifest.display_name


def test_source_distribution_is_whole(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    wanted = {
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
        "src/napari_surfseg/napari.yaml",
        "tests/test_packaging.py",
    }
    assert wanted <= names


def _distribution(requirement: str) -> str:
    """Name a requirement is about, spelled as package indexes compare it."""
    return re.split(r"[\[<>=;~! ]", requirement)[0].lower().replace("_", "-")


def test_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert f"[{napari_surfseg.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_manifest_at_the_top_is_the_packaged_one() -> None:
    # A link, so that there is one manifest. Git on Windows may check a link out as a file that
    # holds the target's path; napari reads the packaged manifest, never this one.
    link = ROOT / "napari.yaml"
    if link.is_symlink():
        assert link.resolve() == (PACKAGE / "napari.yaml").resolve()
    else:
        assert link.read_text(encoding="utf-8").strip() == "src/napari_surfseg/napari.yaml"


#: Extras that are installed where the tests run.
TESTED = ("dev", "formats", "hdf5", "n5", "nifti", "nrrd")


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {_distribution(line) for line in lines if "==" in line}
    extras = project["optional-dependencies"]
    direct = [*project["dependencies"], *(line for name in TESTED for line in extras[name])]
    names = {_distribution(line) for line in direct} - {"napari-surfseg"}
    assert names <= pinned, f"constraints.txt lacks {sorted(names - pinned)}"


def test_release_notes_are_the_section_of_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    release = importlib.import_module("release")
    changelog = (
        "# Changelog\n\n## [0.2.0] - 2026-12-01\n\n- New.\n\n## [0.1.0] - unreleased\n\n- Old.\n"
    )
    assert release.read_notes("0.2.0", changelog) == "- New."
    with pytest.raises(ValueError, match=r"no section for 0\.3\.0"):
        release.read_notes("0.3.0", changelog)
    with pytest.raises(ValueError, match=r"calls 0\.1\.0 unreleased"):
        release.read_notes("0.1.0", changelog)


def test_workflows_call_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set()
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        jobs = yaml.safe_load(path.read_text())["jobs"]
        for step in (step for job in jobs.values() for step in job.get("steps", [])):
            called |= set(re.findall(r"\bmake ([a-z][a-z-]+)", step.get("run", "")))
    assert {"test", "test-matrix", "test-wheel", "dist"} <= called <= targets
