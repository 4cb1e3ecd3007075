import pytest

from napari_surfseg.runs.checkpoint_summary import read_summary


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"epoch": true, "metrics": 3, "postprocess": "x", "chosen_by": 1}']
)
def test_a_damaged_summary_says_nothing(tmp_path, text):
    (tmp_path / "best.json").write_text(text)
    found = read_summary(tmp_path / "best.pt")
    assert (found.epoch, found.metrics, found.postprocess, found.surface_dice) == (
        None, {}, {}, None,
    )  # fmt: skip
    assert found.chosen_by == ""
