"""How the live layers look in 2-D and in 3-D, and that what a person changed stays."""

from tests.gui.live.conftest import make_preview, show

from napari_surfseg.gui.live.layers import LiveLayers


def test_the_box_is_framed_by_whichever_live_layer_there_is(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    assert live.prediction.bounding_box.visible
    assert not live.prediction.bounding_box.points
    assert not live.skeleton.bounding_box.visible
    viewer.layers.remove(live.prediction)
    show(live, make_preview(), source)
    assert live.skeleton.bounding_box.visible


def test_in_3d_there_are_fronts_and_lines_and_back_in_2d_what_was(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    assert live.prediction.opacity < 0.7
    before = (live.prediction.opacity, live.prediction.rendering, live.skeleton.blending)
    viewer.dims.ndisplay = 3
    live.restyle()
    assert live.prediction.rendering == "attenuated_mip"
    assert live.skeleton.depiction == "plane"
    assert tuple(live.skeleton.plane.position) == (4, 8, 8)
    show(live, make_preview(shape=(4, 8, 8)), source)
    assert tuple(live.skeleton.plane.position) == (2, 4, 4)
    viewer.dims.ndisplay = 2
    live.restyle()
    assert live.skeleton.depiction == "volume"
    assert before == (live.prediction.opacity, live.prediction.rendering, live.skeleton.blending)


def test_what_a_person_changed_of_the_look_stays(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    live.prediction.opacity = 0.25
    live.skeleton.visible = False
    viewer.dims.ndisplay = 3
    live.restyle()
    assert live.prediction.opacity == 0.25
    assert live.prediction.rendering == "attenuated_mip"
    live.prediction.rendering = "iso"
    viewer.dims.ndisplay = 2
    live.restyle()
    show(live, make_preview(9), source)
    assert live.prediction.rendering == "iso"
    assert not live.skeleton.visible
