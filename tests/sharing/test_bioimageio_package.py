"""A package is tested with ``bioimageio.core`` itself, every kind of weights in it."""

import dataclasses
import importlib
import warnings
from importlib import metadata

import pytest
from packaging.version import Version

from napari_surfseg.errors import OutputError
from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.sharing import bioimageio_package
from napari_surfseg.sharing.export import export_network
from napari_surfseg.sharing.settings import ShareSettings


def fits_together():
    """Return why the library does not work here; empty where it does."""
    try:
        core, pydantic = (Version(metadata.version(n)) for n in ("bioimageio.core", "pydantic"))
    except metadata.PackageNotFoundError:
        return "bioimageio.core is not installed: pip install napari-surfseg[share]"
    if core <= Version("0.11.0") and pydantic >= Version("2.14"):
        return f"bioimageio.core {core} fails on every package with pydantic {pydantic}"
    return ""


needs_library = pytest.mark.skipif(bool(fits_together()), reason=fits_together() or "-")


@pytest.fixture
def core():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("bioimageio.core")


@needs_library
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("own", [False, True], ids=["those trained on", "own grey values"])
def test_the_librarys_own_test_passes_for_all_weights(tmp_path, tiny_checkpoint, core, own):
    checkpoint = dataclasses.replace(
        tiny_checkpoint, intensity=None if own else tiny_checkpoint.intensity
    )
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    path = export_network(
        tmp_path / "best.pt", tmp_path / "w.zip", settings=ShareSettings(authors=("A. Person",))
    )
    summary = core.test_model(path)
    assert summary.status == "passed", summary.display()
    model = core.load_model_description(path)
    assert {"onnx", "pytorch_state_dict", "torchscript"} == set(model.weights.available_formats)
    z, y, x = model.inputs[0].axes[2:]
    assert [axis.id for axis in (z, y, x)] == ["z", "y", "x"]
    assert [axis.scale for axis in (z, y, x)] == [8.0, 4.0, 4.0]
    assert {axis.unit for axis in (z, y, x)} == {"nanometer"}
    assert model.license == "CC-BY-4.0"
    assert model.authors[0].name == "A. Person"


def test_what_the_library_refuses_is_one_sentence(tmp_path, checkpoint_path, monkeypatch):
    pytest.importorskip("bioimageio.core", reason="pip install napari-surfseg[share]")

    def refuse(*_arguments):
        raise TypeError("'index_key' is expected to be\nan integer")

    monkeypatch.setattr(bioimageio_package, "_describe", refuse)
    with pytest.raises(OutputError, match="refuses the package") as caught:
        export_network(checkpoint_path, tmp_path / "w.zip")
    assert "\n" not in str(caught.value)
    assert "pydantic" in str(caught.value)
    assert not (tmp_path / "w.zip").exists()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("cell walls", "cell walls"),
        ("Zellwände/α: 2", "Zellw nde 2"),
        ("a", "surfaces a"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_title_becomes_a_name_that_the_format_allows(title, name):
    assert bioimageio_package._fit_name(title) == name
