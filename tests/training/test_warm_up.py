"""The step that is taken before anybody presses Start."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.training import warm_up as module


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))


def test_it_trains_looks_and_saves(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    module.warm_up(folder)
    assert (folder / "checkpoints" / "best.pt").exists()
    shown = np.load(next((folder / "previews").glob("*_probabilities.npy")))
    assert shown.shape == (16, 16, 16)


def test_it_is_done_once(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(module, "warm_up", done.append)
    module.main()
    module.main()
    assert len(done) == 1
    assert not done[0].exists()
    assert module.find_marker().parent == tmp_path


def test_a_failure_is_tried_again(monkeypatch):
    def fail(_folder):
        raise MemoryError

    monkeypatch.setattr(module, "warm_up", fail)
    with pytest.raises(MemoryError):
        module.main()
    assert not module.find_marker().exists()
