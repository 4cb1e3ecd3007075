"""What is kept of a person who shares networks."""

import pytest

from napari_surfseg.gui.run_table import share_defaults
from napari_surfseg.gui.run_table.share_defaults import keep_share_settings, read_share_settings
from napari_surfseg.sharing.settings import ShareSettings


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(share_defaults, "find_file", lambda: tmp_path / "new" / "share.yaml")
    return tmp_path / "new" / "share.yaml"


def test_authors_and_licence_are_kept_and_defaults_need_no_file(file):
    keep_share_settings(ShareSettings(title="Cells"))
    assert not file.exists()
    keep_share_settings(ShareSettings("Cells", ("Ä. Person", "B. Other"), "MIT", overwrite=True))
    assert read_share_settings() == ShareSettings(authors=("Ä. Person", "B. Other"), licence="MIT")
    keep_share_settings(ShareSettings())
    assert read_share_settings() == ShareSettings()


@pytest.mark.parametrize("text", ["", "3", "[", "authors: 3", "- a", "\x00"])
def test_a_file_of_something_else_is_passed_over(file, text):
    file.parent.mkdir()
    file.write_text(text)
    assert read_share_settings() == ShareSettings()


def test_where_no_file_can_be_nothing_is_kept(file):
    file.parent.touch()
    keep_share_settings(ShareSettings(licence="MIT"))
    assert read_share_settings() == ShareSettings()
