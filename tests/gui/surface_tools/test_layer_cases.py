"""What people bring to a tool: each gives a right result in its place, or one sentence."""

import re

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.surface_tools.controller import _build_layers
from napari_surfseg.gui.surface_tools.running import ToolRequest, run_layer_tool
from napari_surfseg.surface_tools.registry import TOOLS, find_tool

SHAPE = (7, 8, 9)


def mask(dtype=np.uint8, value=1):
    values = np.zeros(SHAPE, dtype)
    values[2:5] = value
    return values


def ramp(dtype, top):
    """Probabilities of which the upper half is in planes 2 to 4."""
    values = np.linspace(0, 0.45, mask().size).reshape(SHAPE)
    values[2:5] += 0.5
    return (values * top).astype(dtype)


def stored(values, path):
    array = zarr.create_array(str(path), shape=SHAPE, chunks=(4, 8, 9), dtype=values.dtype)
    array[...] = values


def with_nan():
    values = ramp(np.float32, 1)
    values[0, 0, :3] = np.nan
    return values


# A layer; then what each kind of input makes of it: "ok", or a part of the sentence.
PROBABILITIES = {"mask": "ok", "grey": "ok"}
LABELS = {"mask": "ok", "grey": "ok", "labels": "ok"}
INTENSITIES = {"mask": "holds", "grey": "Membranes are probabilities"}
CASES = {
    **{
        f"labels {np.dtype(dtype)}": (lambda d=dtype: Labels(mask(d)), LABELS)
        for dtype in (np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64)
    },
    "labels, many values": (
        lambda: Labels(np.where(mask(), np.arange(mask().size).reshape(SHAPE) % 200, 0)),
        LABELS,
    ),
    "labels, large values": (lambda: Labels(mask(np.int64, 2**40)), LABELS),
    "labels below 0": (lambda: Labels(mask(np.int16, -3)), LABELS),
    "labels, all 0": (lambda: Labels(np.zeros(SHAPE, np.uint8)), LABELS),
    "labels, all 1": (lambda: Labels(np.ones(SHAPE, np.uint8)), LABELS),
    "image bool": (lambda: Image(mask(bool)), PROBABILITIES),
    "image float32 of 0 to 1": (lambda: Image(ramp(np.float32, 1)), PROBABILITIES),
    "image float64 of 0 to 1": (lambda: Image(ramp(np.float64, 1)), PROBABILITIES),
    "image float16 of 0 to 1": (lambda: Image(ramp(np.float16, 1)), PROBABILITIES),
    "image float mask": (lambda: Image(mask(np.float32)), PROBABILITIES),
    "image uint8 of 0 to 255": (lambda: Image(ramp(np.uint8, 255)), PROBABILITIES),
    "image uint8 mask": (lambda: Image(mask(np.uint8, 255)), PROBABILITIES),
    "image uint16 mask": (lambda: Image(mask(np.uint16, 7)), PROBABILITIES),
    "image uint16": (lambda: Image(ramp(np.uint16, 60000)), INTENSITIES),
    "image int16": (lambda: Image(ramp(np.int16, 3000) - 100), INTENSITIES),
    "image float32 of 0 to 3000": (lambda: Image(ramp(np.float32, 3000)), INTENSITIES),
    "image with NaN": (
        lambda: Image(with_nan()),
        {"mask": "3 voxels that are NaN", "grey": "3 voxels that are NaN"},
    ),
    "one time point": (lambda: Labels(mask()[None]), LABELS),
    "time": (lambda: Labels(np.stack([mask()] * 2)), dict.fromkeys(LABELS, "has 4 axes")),
    "2-D": (lambda: Labels(mask()[0]), dict.fromkeys(LABELS, "has 2 axes")),
    "colour": (
        lambda: Image(np.zeros((*SHAPE, 3), np.uint8), rgb=True),
        dict.fromkeys(LABELS, "is a colour image"),
    ),
    "big-endian": (lambda: Image(ramp(">f4", 1)), PROBABILITIES),
    "turned in memory": (lambda: Labels(np.asfortranarray(mask())), LABELS),
    "every second voxel": (lambda: Labels(np.repeat(mask(), 2, axis=2)[:, :, ::2]), LABELS),
    "dask": (lambda: Labels(da.from_array(mask(), chunks=4)), LABELS),
    "dask, computed": (lambda: Labels(da.from_array(mask(), chunks=4) * 3), LABELS),
    "scaled": (lambda: Labels(mask(), scale=(4, 2, 2), units="nm"), LABELS),
    "moved": (lambda: Labels(mask(), translate=(1, 2, 3)), LABELS),
    "rotated": (lambda: Labels(mask(), rotate=30, scale=(2, 1, 1)), LABELS),
    "sheared": (lambda: Labels(mask(), shear=(0.1, 0, 0)), LABELS),
    "affine": (
        lambda: Labels(mask(), affine=np.diag([2.0, 3, 4, 1]) + np.eye(4, k=3)),
        LABELS,
    ),
    "multiscale": (lambda: Labels([mask(), mask()[::2, ::2, ::2]], multiscale=True), LABELS),
}

#: A tool of each kind whose result says whether the right voxels went in.
TELLING = {"mask": "threshold-surface", "labels": "remove-small-pieces", "grey": "surface-mesh"}
EMPTY = {"labels, all 0"}


def run(layer, tool, process, settings=None):
    volumes = {name: take_layer(layer) for name in tool.inputs}
    return run_layer_tool(ToolRequest(tool, settings or {}), volumes, process)


@pytest.mark.parametrize("kind", list(TELLING))
@pytest.mark.parametrize("case", list(CASES))
def test_a_layer_gives_its_surface_in_its_place_or_a_sentence(case, kind, no_process):
    make, expected = CASES[case]
    if kind not in expected:
        pytest.skip("the dock refuses an image where labels are needed")
    layer, tool = make(), find_tool(TELLING[kind])
    settings = {
        "remove-small-pieces": {"min_voxels": 1},
        "surface-mesh": {"kind": "closed", "smoothing": 0},
    }
    if expected[kind] != "ok":
        with pytest.raises(SurfsegError, match=expected[kind]) as caught:
            run(layer, tool, no_process, settings.get(tool.name))
        assert re.fullmatch(r"[^\n]+\.", str(caught.value))
        return
    if kind == "grey" and case in EMPTY:
        with pytest.raises(SurfsegError, match="no surface to mesh"):
            run(layer, tool, no_process, settings[tool.name])
        return
    result = run(layer, tool, no_process, settings.get(tool.name))
    (made,) = _build_layers(tool, result, layer)
    for corner in ((0, 0, 0), (6, 7, 8)):
        place = (0,) * (layer.ndim - 3) + corner
        assert np.allclose(made.data_to_world(corner), layer.data_to_world(place)[-3:])
    if kind == "grey":
        whole = "labels, all 1"
        # Probabilities reach one half nearer to what is above it.
        slack = 0.05 if isinstance(layer, Labels) or "mask" in case else 0.3
        least = -0.5 if case == whole else 1.5
        assert made.data[0][:, 0].min() == pytest.approx(least, abs=slack)
        return
    values = np.asarray(layer.data[0] if layer.multiscale else layer.data).reshape(SHAPE)
    assert np.array_equal(made.data != 0, values != 0 if isinstance(layer, Labels) else mask() != 0)
    if kind == "labels":
        assert np.array_equal(made.data, values)


@pytest.mark.parametrize(
    "case", ["labels below 0", "labels, all 0", "labels, all 1", "2-D", "image with NaN"]
)
@pytest.mark.parametrize("name", [name for name, tool in TOOLS.items() if tool.inputs])
def test_no_tool_breaks_on_what_is_odd(name, case, no_process):
    """It ends, or with one sentence."""
    make, _ = CASES[case]
    said = "Done."
    try:
        run(make(), TOOLS[name], no_process)
    except SurfsegError as error:
        said = str(error)
    assert re.fullmatch(r"[^\n]+\.", said)


def test_a_file_with_a_missing_or_a_damaged_chunk(tmp_path, no_process):
    stored(mask(), tmp_path / "a.zarr")

    def run_on(name):
        request = ToolRequest(find_tool("threshold-surface"), {})
        return run_layer_tool(request, {"surface": str(tmp_path / name)}, no_process)

    assert np.array_equal(run_on("a.zarr").labels, mask())
    (tmp_path / "a.zarr" / "c" / "0" / "0" / "0").unlink()
    labels = run_on("a.zarr").labels
    assert labels[:4].max() == 0
    assert labels[4].all()
    (tmp_path / "a.zarr" / "c" / "1" / "0" / "0").write_bytes(b"no chunk")
    with pytest.raises(SurfsegError, match=r"a.zarr cannot be read at voxels .* damaged"):
        run_on("a.zarr")
    with pytest.raises(SurfsegError, match="There is no file or folder") as caught:
        run_on("b.zarr")
    assert caught.value.field == "surface"
