"""Sample data: a piece of the synthetic scroll, made in about a second."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["make_dense_sample", "make_strokes_sample"]

#: Some six windings of the scroll.
SHAPE = (80, 160, 160)
SEED = 7


def make_dense_sample() -> list[tuple[Any, dict[str, Any], str]]:
    """Scroll phantom, every voxel labelled but for some regions."""
    return _make("dense")


def make_strokes_sample() -> list[tuple[Any, dict[str, Any], str]]:
    """Scroll phantom as a person labels it: strokes on the surface and beside it."""
    return _make("strokes")


def _make(annotated: Literal["dense", "strokes"]) -> list[tuple[Any, dict[str, Any], str]]:
    from napari_surfseg.data.phantom.scroll import ScrollPhantom
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES
    from napari_surfseg.gui.layers.colormaps import build_dense_colormap

    settings = PhantomSettings(shape=SHAPE, seed=SEED, annotated=annotated)
    box = ScrollPhantom(settings).compute_box((0, 0, 0), settings.shape)
    labels = box.labels
    place: dict[str, Any] = {
        "scale": settings.spacing,
        "units": ("micrometer",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    return [
        (box.image, {"name": "scroll", "contrast_limits": (0, 255), **place}, "image"),
        (
            labels,
            {
                "name": "inner face" if annotated == "dense" else "strokes",
                "opacity": 0.6,
                "colormap": build_dense_colormap(),
                "metadata": {"surfseg_labels": LABEL_SCHEMES["dense"]},
                **place,
            },
            "labels",
        ),
    ]
