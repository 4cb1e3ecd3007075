"""Each tool by blocks gives, voxel by voxel, what it gives of the whole volume."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.surface_tools.block_work import BLOCK, BlockWork
from napari_surfseg.surface_tools.registry import TOOLS
from napari_surfseg.surface_tools.setting import check_settings

SHAPE = (22, 26, 31)
SPACING = (2.0, 1.0, 1.0)


def make_surface(seed):
    """Sheets, blobs, specks, tears and cavities that span and touch blocks of any size."""
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5)
    z, y, _ = np.indices(SHAPE)
    mask = (rough > 0.12) | ((z + (y // 4)) % 9 < 2) & (rng.random(SHAPE) > 0.04)
    return mask & (rng.random(SHAPE) > 0.01)


def make_labels(seed):
    values = np.random.default_rng(seed).integers(1, 7, SHAPE)
    return np.where(make_surface(seed), values, 0).astype(np.int16)


def make_thick():
    """A solid of which runs span the volume along each axis, with some holes."""
    mask = np.ones(SHAPE, bool)
    mask[:, :3] = mask[4:6, 9:] = mask[11, 5, 5] = mask[:, 20, 17] = False
    return mask


def make_specks():
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:5, 1:24, 2:29] = mask[10:13, 3:20, 4:9] = mask[16:19, :, :] = 1
    mask[17, 9, 9] = 0
    return mask


def make_walls():
    walls = np.random.default_rng(5).integers(0, 60, SHAPE)
    walls[10:12] = walls[:, 12:14] = walls[:, :, 15] = 240
    return walls.astype(np.uint8)


SURFACE = make_surface(0)
CASES = {
    "threshold-surface": [({"surface": SURFACE}, {})],
    "remove-small-pieces": [({"surface": make_labels(1)}, {"min_voxels": n}) for n in (1, 5, 60)]
    + [({"surface": make_labels(1)}, {"min_voxels": 3, "min_area": area}) for area in (9.0, 80.0)],
    "medial-surface": [({"surface": SURFACE}, {}), ({"surface": make_thick()}, {})],
    "label-pieces": [({"surface": SURFACE}, {"min_voxels": n}) for n in (1, 3)],
    "measure-sheets": [
        ({"surface": make_labels(2) % 3}, {"separate": False, "min_voxels": 20}),
        ({"surface": make_specks()}, {"separate": True, "min_voxels": 10}),
    ],
    "score-cells": [({"cells": make_labels(3), "truth": make_labels(4)}, {})],
    "cells-from-membranes": [
        ({"membranes": make_walls()}, {"keep_walls": keep}) for keep in (False, True)
    ],
    "fill-holes": [
        ({"surface": SURFACE}, {"method": how, "radius": r, "max_voxels": n})
        for how, r, n in (
            ("ball", 0, 9),
            ("ball", 1, 0),
            ("ball", 2, 40),
            ("sheet", 1, 9),
            ("course", 1, 9),
        )
    ],
}


def run_by_blocks(tool, arrays, settings, block, tmp_path):
    made, stages = [], []

    def create(dtype):
        made.append(np.zeros(SHAPE, dtype))
        return made[0]

    work = BlockWork(
        arrays,
        check_settings(tool.function, settings),
        create,
        tmp_path / "scratch",
        SPACING,
        block,
        report=lambda stage, share: stages.append((stage, share)),
    )
    result = tool.large(work)
    assert stages
    assert all(0 <= share <= 1 for _, share in stages)
    return made[0] if made else result


@pytest.mark.parametrize("block", [(8, 8, 8), (22, 10, 16), (5, 26, 31)], ids=str)
@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, cases in CASES.items() for n in range(len(cases))]
)
def test_blocks_of_any_size_give_what_the_whole_gives(name, number, block, tmp_path):
    tool = TOOLS[name]
    arrays, settings = CASES[name][number]
    offered = tool.choose({"spacing": SPACING})
    whole = tool.function(**arrays, **offered, **check_settings(tool.function, settings))
    found = run_by_blocks(tool, arrays, settings, block, tmp_path)
    if tool.result == "table":
        assert len(whole) > 1
        assert [list(row) for row in found] == [list(row) for row in whole]
        for one, other in zip(found, whole, strict=True):
            assert one == pytest.approx(other, nan_ok=True)
    else:
        assert found.dtype == whole.dtype
        assert np.array_equal(found, whole)
        assert whole.any()


def test_every_tool_by_blocks_is_among_the_cases():
    assert {name for name, tool in TOOLS.items() if callable(tool.large)} == set(CASES)


def test_a_block_is_a_file_of_the_result():
    from napari_surfseg.inference.pyramid import SHARD

    assert BLOCK == SHARD
