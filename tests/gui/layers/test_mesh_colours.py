"""Measured values as colours with limits in their unit."""

import numpy as np

from napari_surfseg.gui.layers.mesh_colours import colour_mesh

VERTICES = np.zeros((101, 3), np.float32)
FACES = np.array([[0, 1, 2]])


def test_a_plain_mesh_has_one_colour():
    data, about, said = colour_mesh(VERTICES, FACES, {}, "nanometer")
    assert len(data) == 2
    assert about["colormap"] == "copper"
    assert said == ""


def test_limits_leave_out_a_few_and_say_the_unit():
    values = np.arange(101, dtype=np.float32)
    data, about, said = colour_mesh(VERTICES, FACES, {"thickness": values}, "nanometer")
    assert about["contrast_limits"] == (2, 98)
    assert said == "thickness, 2 to 98 nm"
    assert (data[2] == values).all()
    assert about["metadata"] == {"surfseg_values": "thickness", "surfseg_values_unit": "nm"}


def test_what_has_no_other_within_reach_is_shown_as_the_farthest():
    values = np.where(np.arange(101) < 50, np.nan, 7.0).astype(np.float32)
    data, about, said = colour_mesh(VERTICES, FACES, {"gap": values}, None)
    assert (data[2] == 7).all()
    assert about["contrast_limits"][0] < about["contrast_limits"][1]
    assert said.startswith("gap, 7 to 7")
    data, about, _ = colour_mesh(VERTICES, FACES, {"gap": values * np.nan}, None)
    assert np.isfinite(data[2]).all()


def test_curvature_has_zero_in_the_middle():
    values = np.linspace(-1, 3, 101).astype(np.float32)
    _, about, said = colour_mesh(VERTICES, FACES, {"curvature": values}, "micrometer")
    low, high = about["contrast_limits"]
    assert low == -high
    assert said.endswith("µm⁻¹")
