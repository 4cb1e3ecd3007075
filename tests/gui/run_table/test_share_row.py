"""The part of "Runs" that gives a network to others."""

from pathlib import Path

import pytest

from napari_surfseg.gui.run_table import share_row
from napari_surfseg.gui.run_table.share_row import ShareRow
from napari_surfseg.sharing.settings import ShareSettings


@pytest.fixture
def row(qtbot):
    row = ShareRow()
    qtbot.addWidget(row)
    return row


def test_share_and_cancel_take_turns(row):
    assert not row.share.isEnabled()
    row.offer(True)
    assert row.share.isEnabled()
    assert not row.cancel.isEnabled()
    row.set_busy(True)
    row.offer(True)  # the table is filled again every few seconds
    assert (row.share.isEnabled(), row.format.isEnabled(), row.cancel.isEnabled()) == (
        False, False, True,
    )  # fmt: skip
    row.set_busy(False)
    assert row.share.isEnabled()
    row.offer(False)
    assert not row.share.isEnabled()


def test_the_dialog_begins_with_what_is_suggested(row, monkeypatch):
    asked = []

    def answer(*given, **_named):
        asked.append(given[1:])
        return answer.path, ""

    monkeypatch.setattr(share_row.QFileDialog, "getSaveFileName", answer)
    row.format.setCurrentIndex(1)
    assert row.kind() == "bioimageio"
    answer.path = "runs/mine.zip"
    assert row.choose_output(Path("runs/first.zip")) == Path("runs/mine.zip")
    title = "bioimage.io package (a .zip)"
    assert asked == [(title, str(Path("runs/first.zip")), "bioimage.io package (*.zip)")]
    answer.path = ""
    assert row.choose_output(Path("runs/first.zip")) is None


def test_the_sentence_shows_only_where_there_is_one(row):
    assert row.job.state.isHidden()
    row.set_state("Loading the network…", 0.5)
    assert not row.job.state.isHidden()
    assert row.job.progress.value() == 500


@pytest.mark.parametrize(
    ("typed", "settings"),
    [
        (("", "", ""), ShareSettings()),
        ((" Cells ", "A. Person, B. Other,", "CC0-1.0"),
         ShareSettings("Cells", ("A. Person", "B. Other"), "CC0-1.0")),
    ],
)  # fmt: skip
def test_what_goes_along_is_typed_or_left_out(row, typed, settings):
    assert row.title.isHidden() or not row.title.isVisible()  # folded away at first
    for field, text in zip((row.title, row.authors, row.licence), typed, strict=True):
        field.setText(text)
    assert row.settings() == settings
    row.set_settings(ShareSettings())
    assert row.settings() == ShareSettings()
    row.set_settings(settings)
    assert row.settings() == settings
