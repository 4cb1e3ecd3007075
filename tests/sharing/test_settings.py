import importlib.util
from pathlib import Path

import pytest

from napari_surfseg.errors import OutputError
from napari_surfseg.sharing import settings
from napari_surfseg.sharing.settings import ShareSettings, check_share, choose_format


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        ("bundle", None, "monai"),
        ("v1.2", None, "monai"),
        ("cell walls", "monai", "monai"),
        ("a.zip", None, "bioimageio"),
        ("A.ZIP", None, "bioimageio"),
        ("a.zip", "bioimageio", "bioimageio"),
        ("a.onnx", None, "onnx"),
        ("a.onnx", "onnx", "onnx"),
    ],
)
def test_the_name_says_what_is_written(name, wanted, found):
    assert choose_format(Path(name), wanted) == found


@pytest.mark.parametrize(
    ("name", "wanted", "says"),
    [
        ("a.zip", "monai", r"folder without .zip"),
        ("a.onnx", "monai", r"folder without .onnx"),
        ("a", "onnx", r"end in .onnx"),
        ("a.zip", "onnx", r"end in .onnx"),
        ("a", "bioimageio", r"end in .zip"),
        ("a", "keras", r"no format keras; there are monai, bioimageio, onnx"),
    ],
)
def test_a_name_that_does_not_fit_is_one_sentence(name, wanted, says):
    with pytest.raises(OutputError, match=says):
        choose_format(Path(name), wanted)


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(settings, "_is_installed", lambda _name: True)


@pytest.mark.usefixtures("installed")
def test_what_would_fail_at_the_end_fails_at_once(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        check_share(tmp_path / "there", None, ShareSettings())
    assert check_share(tmp_path / "there", None, ShareSettings(overwrite=True)) == "monai"
    with pytest.raises(OutputError, match="there is no folder"):
        check_share(tmp_path / "no" / "bundle", None, ShareSettings())
    with pytest.raises(OutputError, match=r"spdx.org/licenses"):
        check_share(tmp_path / "bundle", None, ShareSettings(licence="all mine, please"))


@pytest.mark.parametrize(
    ("name", "missing"), [("b", "monai"), ("a.zip", "bioimageio"), ("a.onnx", "onnxscript")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch, name, missing):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda item: None if item.partition(".")[0] == missing else found(item),
    )
    with pytest.raises(OutputError, match=rf"library {missing}; .*napari-surfseg\[share\]"):
        check_share(tmp_path / name, None, ShareSettings())
