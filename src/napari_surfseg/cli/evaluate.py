"""``surfseg evaluate``: a prediction is scored against labels."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import say, say_error
from napari_surfseg.cli.options import add_command, read_share, read_spacing, read_values

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.data.volume import Volume

__all__ = ["add", "evaluate"]

DESCRIPTION = """\
Score a prediction against labels.

Voxels whose label is one of --ignore are background in both; then every
non-zero voxel is surface, in the labels unless --foreground says which values
are. Distances are in voxels unless --spacing is given.

  surface_dice   share of the two surfaces within the tolerance of each other
  voi_score      1 / (1 + 0.3 (voi_split + voi_merge)), over connected pieces
  dice           overlap of the voxels
  precision      share of the predicted surface within the tolerance of the true one
  recall         the reverse
  b0 b1 b2       pieces, tunnels and cavities of each
"""

EXAMPLES = """\
examples:
  surfseg evaluate surfaces.zarr labels.tif
  surfseg evaluate surfaces.tif labels.tif --json > scores.json
  surfseg evaluate probs.tif labels.tif --threshold 0.4
  surfseg evaluate surfaces.tif labels.tif --foreground 255 --ignore none
"""

FEATURES = ("pieces", "tunnels", "cavities")
#: What is shown, in groups; whatever else the metrics give comes after these.
ORDER = (
    "score",
    "surface_dice",
    "topo_score",
    "voi_score",
    "voi_split",
    "voi_merge",
    "dice",
    "precision",
    "recall",
)


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "evaluate",
        run,
        summary="score a prediction against labels",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument("prediction", metavar="PREDICTION", help="a volume; non-zero is surface")
    parser.add_argument("labels", metavar="LABELS", help="a volume of the same shape")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=2.0,
        metavar="D",
        help="distance within which two surfaces agree (default: 2)",
    )
    parser.add_argument(
        "--spacing",
        type=read_spacing,
        default=(1.0, 1.0, 1.0),
        metavar="Z,Y,X",
        help="voxel size, or file for what the labels' file says (default: 1,1,1)",
    )
    parser.add_argument(
        "--foreground",
        type=read_values,
        metavar="VALUES",
        help="label values that are surface (default: all but 0 and the ignored ones)",
    )
    parser.add_argument(
        "--ignore",
        type=read_values,
        default=(2,),
        metavar="VALUES",
        help="label values that are not scored, or none (default: 2)",
    )
    parser.add_argument(
        "--threshold",
        type=read_share,
        metavar="T",
        help="PREDICTION holds probabilities, 0..255 or 0..1; surface is above T",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.cli.main import UsageError
    from napari_surfseg.data.volume import open_volume
    from napari_surfseg.errors import DataError

    if not 0 <= options.tolerance < math.inf:
        raise UsageError(f"The --tolerance is {options.tolerance:g}, but it must be at least 0.")
    both = set(options.foreground or ()) & set(options.ignore)
    if both:
        raise UsageError(
            f"The value {min(both)} is in --foreground and in --ignore; each value may have one "
            "meaning."
        )
    pred, label = open_volume(options.prediction), open_volume(options.labels)
    if pred.shape != label.shape:
        raise DataError(
            f"{options.prediction} has the shape {_by(pred.shape)}, but {options.labels} has "
            f"{_by(label.shape)}; the two must be the same."
        )
    spacing = label.spacing if options.spacing == "file" else options.spacing
    scores = evaluate(
        pred,
        label,
        spacing=spacing,
        tolerance=options.tolerance,
        foreground=options.foreground,
        ignore=options.ignore,
        threshold=options.threshold,
    )
    if options.json:
        say(json.dumps(_without_nan(scores), indent=2))
    else:
        say(tabulate_scores(scores))
    return 0


def evaluate(
    pred: Volume,
    label: Volume,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    tolerance: float = 2.0,
    foreground: tuple[int, ...] | None = None,
    ignore: tuple[int, ...] = (2,),
    threshold: float | None = None,
    box: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None,
) -> dict[str, float]:
    """Score a prediction volume against a label volume.

    Parameters
    ----------
    pred, label : Volume
        Of one shape.
    spacing, tolerance
        As in ``compute_metrics``.
    foreground : tuple of int, optional
        Label values that are surface; by default every other than 0 and ``ignore``.
    ignore : tuple of int
        Label values that are not scored.
    threshold : float, optional
        ``pred`` holds probabilities, surface is above it.
    box : (start, stop), optional
        Only this part.
    """
    import numpy as np

    from napari_surfseg.metrics.score import compute_metrics

    start, stop = box or ((0, 0, 0), label.shape)
    pred_values = _read_prediction(pred, start, stop, threshold)
    label_values = label.read(start, stop)
    _require_numbers(label_values, label.source)
    ignored = np.isin(label_values, ignore)
    is_surface = label_values != 0 if foreground is None else np.isin(label_values, foreground)
    # 0, 1 and 2 whatever the file uses, so that one rule is applied, the metrics' own.
    classes = np.where(ignored, np.uint8(2), is_surface.astype(np.uint8))
    return compute_metrics(pred_values, classes, spacing=spacing, tolerance=tolerance)


def tabulate_scores(scores: dict[str, float]) -> str:
    """Lay scores out for a terminal."""
    names = [name for name in ORDER if name in scores]
    width = max(len(name) for name in [*names, "topo_score"])
    lines = [f"{name:<{width}}  {scores[name]:.4f}" for name in names]
    if "topo_score" not in scores:
        lines.append(f"{'topo_score':<{width}}  absent: this version does not compute it")
    counts = [
        (k, *(scores.get(f"topo_{kind}_{k}") for kind in ("pred", "label", "matched")))
        for k in range(3)
    ]
    betti = [(k, scores.get(f"b{k}_pred"), scores.get(f"b{k}_label")) for k in range(3)]
    shown = [(k, p, g) for k, p, g in betti if p is not None and g is not None]
    if shown:
        lines += ["", f"{'':<{width}}  prediction   labels"]
        lines += [f"b{k} {FEATURES[k]:<{width - 3}}  {p:10.0f} {g:8.0f}" for k, p, g in shown]
    known = [row for row in counts if None not in row]
    if known:
        lines += ["", f"{'in octants':<{width}}  prediction   labels  matched"]
        lines += [
            f"{FEATURES[int(k or 0)]:<{width}}  {p:10.0f} {g:8.0f} {m:8.0f}" for k, p, g, m in known
        ]
    return "\n".join(lines)


def _read_prediction(
    volume: Volume,
    start: tuple[int, int, int],
    stop: tuple[int, int, int],
    threshold: float | None,
) -> NDArray[np.bool_]:
    import numpy as np

    values = volume.read(start, stop)
    _require_numbers(values, volume.source)
    if threshold is None:
        is_probability = values.dtype.kind == "f" and bool(((values > 0) & (values < 1)).any())
        if is_probability or (values.dtype == np.uint8 and len(np.unique(values)) > 200):
            say_error(
                f"warning: {volume.source} looks like probabilities; every non-zero voxel "
                "counts as surface unless --threshold is given."
            )
        return np.asarray(values != 0)
    top = 255 if values.dtype.kind in "iu" else 1
    return np.asarray(values > threshold * top)


def _require_numbers(values: NDArray[Any], source: str) -> None:
    import numpy as np

    from napari_surfseg.errors import DataError

    if values.dtype.kind == "f":
        bad = int(np.count_nonzero(np.isnan(values)))
        if bad:
            raise DataError(f"{source} holds {bad} NaN voxels; scores need numbers everywhere.")


def _without_nan(scores: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def _by(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
