from tests.gui.run_session.conftest import write_preview

from napari_surfseg.gui.run_session.previews import load_preview


def test_a_preview_that_is_gone_or_damaged_is_none(run, writer):
    event = write_preview(run, writer, 0, 10)
    assert load_preview(run.path, event).probabilities.shape == (2, 4, 4)
    (run.path / event.skeleton).write_bytes(b"\x93NUMPY torn")
    assert load_preview(run.path, event) is None
    (run.path / event.skeleton).unlink()
    assert load_preview(run.path, event) is None
