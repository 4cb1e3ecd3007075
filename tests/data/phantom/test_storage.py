"""The phantom as files."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.phantom.scroll import PhantomBox, ScrollPhantom
from napari_surfseg.data.phantom.settings import PhantomSettings
from napari_surfseg.data.phantom.storage import write_phantom
from napari_surfseg.errors import CancelledError, OutputError

SETTINGS = PhantomSettings(shape=(48, 176, 176), seed=7)


class TestFiles:
    SMALL = PhantomSettings(shape=(40, 56, 72), seed=2, spacing=(8.0, 4.0, 2.0))

    def test_hold_what_the_phantom_is(self, tmp_path):
        paths = write_phantom(tmp_path / "deep" / "scroll", self.SMALL, chunk=(16, 32, 48))
        whole = ScrollPhantom(self.SMALL).compute_box((0, 0, 0), self.SMALL.shape)
        for path, wanted in (
            (paths.image, whole.image),
            (paths.labels, whole.labels),
            (paths.winding, whole.winding),
        ):
            volume = open_volume(path)
            assert volume.dtype == wanted.dtype
            assert volume.spacing == (8.0, 4.0, 2.0)
            assert volume.spacing_known
            assert volume.units in ("micrometer", "µm")
            assert np.array_equal(volume.read((0, 0, 0), volume.shape), wanted)
        assert sorted(p.name for p in paths.folder.iterdir()) == [
            "image.zarr",
            "labels.zarr",
            "winding.zarr",
        ]

    def test_progress_counts_chunks(self, tmp_path):
        seen = []
        write_phantom(tmp_path, self.SMALL, chunk=(32, 32, 48), progress=lambda *n: seen.append(n))
        assert seen == [(done, 8) for done in range(9)]

    def test_stopping_leaves_nothing(self, tmp_path):
        folder = tmp_path / "scroll"
        answers = iter([False, False, True])
        with pytest.raises(CancelledError, match="stopped"):
            write_phantom(folder, self.SMALL, chunk=(16, 32, 48), should_stop=lambda: next(answers))
        assert not folder.exists()

    def test_stopping_leaves_an_earlier_phantom_as_it_was(self, tmp_path):
        paths = write_phantom(tmp_path, self.SMALL)
        before = open_volume(paths.image).read((0, 0, 0), self.SMALL.shape)
        other = dataclasses.replace(self.SMALL, seed=5)
        with pytest.raises(CancelledError):
            write_phantom(tmp_path, other, should_stop=lambda: True)
        assert np.array_equal(open_volume(paths.image).read((0, 0, 0), self.SMALL.shape), before)
        assert len(list(tmp_path.iterdir())) == 3

    def test_a_file_in_the_folders_place_is_refused(self, tmp_path):
        path = tmp_path / "scroll"
        path.write_text("mine")
        with pytest.raises(OutputError, match="is a file"):
            write_phantom(path, self.SMALL)
        assert path.read_text() == "mine"

    def test_only_one_chunk_is_held_at_a_time(self, tmp_path, monkeypatch):
        """Chunks that are cheap to make, of a volume twenty times what may be in memory."""
        asked = []

        def compute_box(self, start, stop):
            asked.append((start, stop))
            size = tuple(b - a for a, b in zip(start, stop, strict=True))
            grey = np.full(size, len(asked) % 200, np.uint8)
            return PhantomBox(grey, grey, grey.astype(np.int16))

        monkeypatch.setattr(ScrollPhantom, "compute_box", compute_box)
        settings = PhantomSettings(shape=(1024, 256, 256))
        tracemalloc.start()
        try:
            write_phantom(tmp_path, settings, chunk=(128, 128, 128))
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(asked) == 32
        assert all(b - a == 128 for box in asked for a, b in zip(*box, strict=True))
        assert peak_bytes < 4 * 1024 * 256 * 256 / 6

    def test_a_chunk_takes_memory_for_one_tile_at_a_time(self):
        phantom = ScrollPhantom(SETTINGS)
        phantom.compute_box((0, 0, 0), (4, 4, 4))
        tracemalloc.start()
        try:
            phantom.compute_box((0, 8, 8), (48, 168, 168))
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # 4.9 MB of results, and less than thirty float arrays of a tile with its margin.
        assert peak_bytes < 48 * 160 * 160 * 4 + 30 * 4 * 38 * 102 * 102
