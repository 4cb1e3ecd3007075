"""How far the mesh of a sheet lies from the sheet: on scrolls whose sheets are known everywhere.

    python benchmarks/meshes.py [--quick] [--record]

``--record`` writes the table and the figure beside it.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import ndimage

from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.data.phantom.settings import LABEL_THICKNESS, PhantomSettings
from napari_surfseg.data.phantom.spiral import Geometry
from napari_surfseg.surface_tools.mesh_functions import surface_mesh

RESULTS = Path(__file__).parent / "results" / "meshes.md"
FIGURE = RESULTS.with_suffix(".png")


def measure_offsets(shape, seed, **settings):
    """Signed distance of each vertex from the middle of the labelled face, in voxels.

    The phantom knows the distance behind the inner face everywhere; the middle of what is
    labelled lies half its thickness behind it.
    """
    phantom_settings = PhantomSettings(shape=shape, seed=seed)
    labels = ScrollPhantom(phantom_settings).compute_box((0, 0, 0), shape).labels
    mesh = surface_mesh((labels == 1).astype(np.uint8), **settings)
    sheets = Geometry(phantom_settings).compute_sheets((0, 0, 0), shape)
    phase = 2 * np.pi * sheets.depth.astype(float) / sheets.pitch

    def look(values):
        return ndimage.map_coordinates(values, mesh.vertices.T, order=1, mode="nearest")

    turn = np.arctan2(look(np.sin(phase)), look(np.cos(phase))) / (2 * np.pi)
    offsets = turn * look(sheets.pitch.astype(float)) - LABEL_THICKNESS / 2
    return offsets[look((labels == 2).astype(float)) < 0.01]


def main():
    """Measure, print, and record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    shape = (24, 96, 96) if options.quick else (64, 160, 160)
    lines = [
        "# Meshes against the sheets they are of",
        "",
        f"`python benchmarks/meshes.py`: phantoms of {' x '.join(map(str, shape))} voxels, labels "
        "on the inner face of the sheets, processor seconds of one thread. Distance of the "
        "vertices from the middle of the labelled face, in voxels.",
        "",
        "| seed | triangles kept | vertices | median | 95 % | 99 % | within 0.5 | bias | s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    shown = {}
    for seed in range(2 if options.quick else 4):
        for share in (1.0, 0.2):
            began = time.process_time()
            offsets = measure_offsets(shape, seed, triangles=share)
            seconds = time.process_time() - began
            away = abs(offsets)
            half, most, nearly = np.percentile(away, (50, 95, 99))
            lines.append(
                f"| {seed} | {share:.0%} | {len(offsets):,} | {half:.3f} | {most:.3f} "
                f"| {nearly:.3f} | {np.mean(away < 0.5):.2%} | {np.median(offsets):+.3f} "
                f"| {seconds:.0f} |"
            )
            shown[f"seed {seed}, {share:.0%}"] = offsets
            print(lines[-1], flush=True)
    if options.record:
        lines += ["", f"![Distances of the vertices]({FIGURE.name})", ""]
        RESULTS.write_text("\n".join(lines), encoding="utf-8")
        _draw(shown)


def _draw(shown):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, offsets in shown.items():
        if name.endswith("100%"):
            axes.hist(offsets, np.linspace(-1, 1, 81), density=True, histtype="step", label=name)
    for edge in (-0.5, 0.5):
        axes.axvline(edge, color="0.6", linestyle="--", linewidth=1)
    axes.set_xlabel("distance of a vertex from the middle of the sheet (voxels)")
    axes.set_ylabel("share of the vertices a voxel")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, dpi=120)


if __name__ == "__main__":
    main()
