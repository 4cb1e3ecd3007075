"""The step that is taken before anybody presses Start."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_surfseg.training import warm_up as module


def test_it_trains_looks_saves_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    seen = []
    original = module._train_in

    def look(folder):
        original(folder)
        seen.extend(path.name for path in Path(folder).rglob("*.pt"))
        shown = np.load(next((folder / "previews").glob("*_probabilities.npy")))
        seen.append(shown.shape)

    monkeypatch.setattr(module, "_train_in", look)
    module.warm_up()
    assert {"best.pt", "last.pt", (16, 16, 16)} <= set(seen)
    assert not list(tmp_path.iterdir())
