"""``surfseg evaluate``: a prediction is scored against labels."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import reporting_stages, say, say_error
from napari_surfseg.cli.options import (
    UsageError,
    add_command,
    check_table_path,
    read_share,
    read_spacing,
    read_values,
)
from napari_surfseg.vocabulary import SCORES

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.metrics.error_table import TopologyError

__all__ = ["add", "tabulate_scores"]

DESCRIPTION = """\
Score a prediction against labels.

Voxels whose label is one of --ignore are background in both; then every
non-zero voxel is surface, in the labels unless --foreground says which values
are. Distances are in voxels unless --spacing is given.

""" + "".join(
    f"  {key:<12}  {note}\n"
    for key, note in (
        *((key, score.note) for key, score in SCORES.items()),
        ("b0 b1 b2", "Pieces, tunnels and cavities of each."),
    )
)

EXAMPLES = """\
examples:
  surfseg evaluate surfaces.zarr labels.tif
  surfseg evaluate surfaces.tif labels.tif --json > scores.json
  surfseg evaluate probs.tif labels.tif --threshold 0.4
  surfseg evaluate surfaces.tif labels.tif --errors errors.csv
  surfseg evaluate surfaces.tif labels.tif --foreground 255 --ignore none
"""

FEATURES = ("pieces", "tunnels", "cavities")
#: What follows a score that is made of them.
PARTS = {"voi_score": ("voi_split", "voi_merge")}


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
        "--errors",
        type=Path,
        metavar="FILE.csv",
        help="also write a table of the topology errors, the largest first: kind, place, size",
    )
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
        "--instances",
        nargs="?",
        const=2,
        type=int,
        metavar="THICKNESS",
        help="each label value is an object: surface is the boundaries between them, THICKNESS "
        "voxels thick (default: 2)",
    )
    parser.add_argument(
        "--threshold",
        type=read_share,
        metavar="T",
        help="PREDICTION holds probabilities, 0..255 or 0..1; surface is above T",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.inference.evaluate_volume import EvaluationSettings, evaluate_volume

    if not 0 <= options.tolerance < math.inf:
        raise UsageError(f"The --tolerance is {options.tolerance:g}, but it must be at least 0.")
    if options.instances is not None and not 1 <= options.instances <= 16:
        raise UsageError(f"The --instances is {options.instances}, but it must be 1 to 16.")
    both = set(options.foreground or ()) & set(options.ignore)
    if both:
        raise UsageError(
            f"The value {min(both)} is in --foreground and in --ignore; each value may have one "
            "meaning."
        )
    if options.errors is not None:
        check_table_path(options.errors, "--errors")
    pred, label = open_volume(options.prediction), open_volume(options.labels)
    with reporting_stages() as report:
        found = evaluate_volume(
            pred,
            label,
            EvaluationSettings(
                spacing=label.spacing if options.spacing == "file" else options.spacing,
                tolerance=options.tolerance,
                foreground=options.foreground,
                ignore=options.ignore,
                threshold=options.threshold,
                instances=options.instances,
            ),
            with_errors=options.errors is not None,
            report=report,
        )
    for warning in found.warnings:
        say_error(f"warning: {warning}")
    if options.errors is not None:
        _write_table(options.errors, found.errors)
    if options.json:
        say(json.dumps(_without_nan(found.scores), indent=2))
        return 0
    say(tabulate_scores(found.scores))
    if options.errors is not None:
        say(f"\n{_describe(found.errors)}, in {options.errors}")
    return 0


def _write_table(path: Path, errors: list[TopologyError]) -> None:
    from napari_surfseg.files import written_aside
    from napari_surfseg.metrics.error_table import write_error_table

    with written_aside(path) as aside:
        write_error_table(aside, errors)


def _describe(errors: list[TopologyError]) -> str:
    from napari_surfseg.metrics.error_table import count_errors

    counts = ", ".join(f"{count} {name}" for name, count in count_errors(errors).items())
    return f"topology errors: {len(errors)}" + (f" ({counts})" if counts else "")


def tabulate_scores(scores: dict[str, float]) -> str:
    """Lay scores out for a terminal."""
    known = [name for score in SCORES for name in (score, *PARTS.get(score, ()))]
    names = [name for name in known if name in scores]
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


def _without_nan(scores: dict[str, float]) -> dict[str, float | None]:
    """Replace NaN and infinity, which JSON cannot hold, by None."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}
