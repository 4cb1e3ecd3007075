"""What "Start painting" does: a strokes layer over the chosen volume, chosen as its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels

from napari_surfseg.geometry import box_at, box_shape, contains_box
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.camera import compute_view_center
from napari_surfseg.gui.layers.label_regions import choose_region, region_of
from napari_surfseg.gui.layers.layer_volume import shape_of
from napari_surfseg.gui.layers.metadata import meanings_of
from napari_surfseg.gui.strokes.brush import paint_with
from napari_surfseg.gui.strokes.strokes_layer import build_strokes_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Index3
    from napari_surfseg.gui.strokes.protocols import PaintedPageProtocol

__all__ = ["start_painting"]


def start_painting(viewer: ViewerModel, page: PaintedPageProtocol) -> None:
    """Put a strokes layer over the chosen volume, choose it, and take the brush.

    A chosen strokes layer that covers what is in view is painted on further. Over a volume too
    large to be labelled as a whole, each part that is painted on is a pair of its own.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volume is and the strokes layer appears.
    page : PaintedPageProtocol
        Where the volume and its labels are chosen; says what is missing.
    """
    page.set_pairs_error("")
    image = page.pairs()[0].image
    if image is None or image.layer not in viewer.layers:
        where = "open it in napari, so that it can be seen" if image else "open one in napari"
        page.set_pairs_error(f"Painting needs a volume that is a layer; {where}.")
        return
    center = compute_view_center(viewer, image.layer)
    layer = _find_strokes(viewer, page, image.layer, center)
    if layer is None:
        region = choose_region(shape_of(image.layer), center)
        layer = build_strokes_layer(image.layer, region)
        viewer.layers.append(layer)
        _choose(page, image, layer)
        if region is not None:
            size = " × ".join(map(str, box_shape(region)))
            page.say(
                f"The volume is large: the strokes layer covers {size} voxels around what you "
                "see. Press Start painting at another place to paint there, too."
            )
    paint_with(viewer, layer, 1)


def _choose(page: PaintedPageProtocol, image: SourceChoice, layer: Labels) -> None:
    labels = SourceChoice.of_layer(layer)
    chosen = page.pairs()[0].labels
    if chosen is not None and region_of(layer) and region_of(chosen.layer):
        page.add_pair()
        page.choose(len(page.pairs()) - 1, image=image, labels=labels)
    else:
        page.choose(0, labels=labels)


def _find_strokes(
    viewer: ViewerModel, page: PaintedPageProtocol, image: Layer, at: Index3
) -> Labels | None:
    """Find a chosen strokes layer over a voxel of an image."""
    for pair in page.pairs():
        layer = pair.labels.layer if pair.labels is not None else None
        if not isinstance(layer, Labels) or layer not in viewer.layers:
            continue
        if pair.image is None or pair.image.layer is not image:
            continue
        box, shape = region_of(layer) or (None, shape_of(layer))
        is_here = box is None or contains_box(box, box_at(at, (1, 1, 1)))
        is_strokes = meanings_of(layer) == LABEL_SCHEMES["strokes"]
        if is_strokes and is_here and shape == shape_of(image):
            return layer
    return None
