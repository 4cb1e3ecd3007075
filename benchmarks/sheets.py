"""Touching sheets of phantoms told apart, put in order and meshed, against their truth.

Ten seeds of each kind:

- *part of a roll*: sheets that do not wind within the volume. The inner faces as drawn; the same
  with noise, holes of up to ten voxels, and forty bridges; as found by the network of the package,
  which has never seen such data; and the whole papyrus, pressed together where the roll is tight;
- *whole roll*: cut into its turns at an axis that is found;
- *masks*: what cutting bridges is worth to the scores of a mask.

The alternatives are connected components at 0.5, and at that of several thresholds which agrees
best with the truth, which nobody knows who needs it.

    python benchmarks/sheets.py [--quick] [--record]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import tifffile
from scipy import ndimage

from cells import predict
from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.data.phantom.settings import LABEL_THICKNESS, PhantomSettings
from napari_surfseg.data.phantom.spiral import Geometry, Sheets
from napari_surfseg.errors import SurfsegError
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.surface_tools.functions import score_cells
from napari_surfseg.surfaces.mesh_shape import smooth_mesh
from napari_surfseg.surfaces.roll_axis import TURN, Axis
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh
from napari_surfseg.surfaces.sheets import SheetSettings, cut_bridges, separate_sheets
from napari_surfseg.surfaces.winding import order_sheets

RESULTS = Path(__file__).parent / "results" / "sheets.md"
FULL = np.ones((3, 3, 3))
PART = {"shape": (64, 128, 128), "radius": 400.0}
WHOLE = {"shape": (64, 192, 192)}
#: Smaller sheets, most of them cut off by a corner of the volume, are not counted.
LEAST_VOXELS = 1000
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
HALF = 127
MASK_SCORES = ("score", "topo_score", "voi_score", "surface_dice", "dice")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
#: Thickness of the papyrus where it lies free.
PAPYRUS = 6.0


@dataclass
class Case:
    """A phantom: what a program gets, and the truth."""

    values: np.ndarray
    truth: np.ndarray
    #: Layer of each true sheet, by its number.
    layers: dict[int, int]
    turns: np.ndarray
    #: Distance of each voxel from the middle of the sheet nearest to it.
    off_middle: np.ndarray


def make_phantom(seed: int, **settings: object) -> tuple[ScrollPhantom, Sheets, np.ndarray]:
    """Return a phantom, the place of each voxel in the roll, and its inner faces."""
    chosen = PhantomSettings(seed=seed, unannotated=0.0, **settings)
    phantom = ScrollPhantom(chosen)
    place = Geometry(chosen).compute_sheets((0, 0, 0), chosen.shape)
    labels = phantom.compute_box((0, 0, 0), chosen.shape).labels
    return phantom, place, labels == 1


def make_part(seed: int, kind: str, folder: Path) -> Case:
    """Make a part of a roll."""
    phantom, place, faces = make_phantom(seed, **PART)
    rng = np.random.default_rng(seed)
    half = LABEL_THICKNESS / 2
    sheet = faces
    if kind == "papyrus":
        thickness = np.minimum(PAPYRUS, place.pitch)
        known = place.turns > Geometry(phantom.settings).first_turn
        sheet, half = (place.depth < thickness) & known, thickness / 2
    # Along the sheet, less the angle around the axis, is the same all over a sheet.
    axis = Axis.from_points([[0, *phantom.settings.axis_place]])
    places = np.argwhere(sheet)
    angles = axis.find_angles(places, (1, 1, 1))
    angles = np.where(angles > np.pi, angles - TURN, angles) / TURN
    along = place.turns[tuple(places.T)]
    ways = [along - angles, along + angles]
    way = min(
        ways, key=lambda w: np.abs(w - np.rint(w - np.median(w % 1)) - np.median(w % 1)).mean()
    )
    layer = np.rint(way - circular_middle(way)).astype(int)
    truth = np.zeros(sheet.shape, np.int32)
    truth[tuple(places.T)] = layer - layer.min() + 1
    truth, layers = number_pieces(truth)
    values = {
        "drawn": lambda: as_bytes(sheet),
        "papyrus": lambda: as_bytes(sheet),
        "damaged": lambda: add_bridges(damage(sheet, rng), sheet, rng),
        "network": lambda: run_network(phantom, folder),
    }[kind]()
    return Case(values, truth, layers, place.turns, measure_offset(place, half))


def circular_middle(values: np.ndarray) -> float:
    """Return the middle of values that are whole numbers but for one constant."""
    return float(np.angle(np.exp(1j * TURN * values).mean()) / TURN)


def number_pieces(layer_of: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    """Give each connected piece of each layer a number."""
    truth, layers = np.zeros_like(layer_of), {}
    for layer in range(1, layer_of.max() + 1):
        pieces, count = ndimage.label(layer_of == layer, FULL)
        for piece in range(1, count + 1):
            layers[len(layers) + 1] = layer
            truth[pieces == piece] = len(layers)
    return truth, layers


def measure_offset(place: Sheets, half: np.ndarray | float) -> np.ndarray:
    """Return the distance from the middle of the nearest sheet, counted from its inner face."""
    from_face = np.where(
        place.depth > place.pitch / 2 + half, place.depth - place.pitch, place.depth
    )
    return from_face - half


def as_bytes(mask: np.ndarray) -> np.ndarray:
    """Return a mask as probabilities."""
    return mask * np.uint8(255)


def damage(sheet: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur sheets, add noise that is smooth over a few voxels, and holes."""
    probs = ndimage.gaussian_filter(sheet.astype(np.float32), 0.7) * 1.3
    noise = ndimage.gaussian_filter(rng.normal(size=sheet.shape).astype(np.float32), 1.5)
    probs += 0.12 * noise / noise.std() * (probs > 0.1)
    places = np.argwhere(sheet)
    for centre in places[rng.integers(len(places), size=25)]:
        put_ball(probs, centre, rng.uniform(2, 5), 0.0)
    return probs


def add_bridges(probs: np.ndarray, sheet: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add forty rods from sheets into the space beside them, as bright as sheets or less."""
    places = np.argwhere(sheet)
    for start in places[rng.integers(len(places), size=40)]:
        way = rng.normal(size=3) * (0.3, 1, 1)
        way /= np.linalg.norm(way)
        radius, value = rng.uniform(1, 2.5), rng.uniform(0.6, 1)
        for step in np.arange(0, rng.uniform(8, 20), 0.5):
            put_ball(probs, start + way * step, radius, value)
    return np.round(np.clip(probs, 0, 1) * 255).astype(np.uint8)


def put_ball(probs: np.ndarray, centre: np.ndarray, radius: float, value: float) -> None:
    """Set a ball to a value: 0 to less, others to more."""
    low = np.maximum(np.floor(centre - radius).astype(int), 0)
    high = np.minimum(np.ceil(centre + radius).astype(int) + 1, probs.shape)
    if (low >= high).any():
        return
    grid = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inside = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < radius**2
    part = probs[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    part[inside] = np.maximum(part[inside], value) if value else 0


def run_network(phantom: ScrollPhantom, folder: Path) -> np.ndarray:
    """Predict with the network of the package."""
    image = folder / "image.tif"
    tifffile.imwrite(image, phantom.compute_box((0, 0, 0), phantom.settings.shape).image)
    return predict(image, folder, (1.0, 1.0, 1.0))


@dataclass
class Score:
    """How labels agree with the truth."""

    true: int
    right: int
    extra: int
    error: float
    voi: float
    order: bool = False
    off: tuple[float, float] = (np.nan, np.nan)

    @property
    def is_right(self) -> bool:
        """Whether each true sheet has a number of its own, and no other number is large."""
        return self.right == self.true and not self.extra


def score(labels: np.ndarray, case: Case) -> Score:
    """Compare labels with the truth where both are."""
    both = (labels > 0) & (case.truth > 0)
    sizes = np.bincount(case.truth[case.truth > 0])
    wanted = np.flatnonzero(sizes >= LEAST_VOXELS)
    owner = {}
    for sheet in wanted:
        counts = np.bincount(labels[both & (case.truth == sheet)], minlength=1)
        if counts.sum() and counts.max() > 0.9 * counts.sum():
            owner[sheet] = int(counts.argmax())
    # Two pieces of one layer, with a gap between them, may have one number.
    layers = defaultdict(set)
    for sheet, number in owner.items():
        layers[number].add(case.layers[sheet])
    right = sum(len(layers[number]) == 1 for number in owner.values())
    numbers = set(owner.values())
    found = np.bincount(labels[both], minlength=1)
    extra = sum(n not in numbers and size >= LEAST_VOXELS for n, size in enumerate(found) if n)
    if not both.any():
        return Score(len(wanted), 0, 0, 1.0, np.nan)
    scores = {row["score"]: row["value"] for row in score_cells(labels, case.truth * both)}
    return Score(len(wanted), right, int(extra), scores["adapted_rand_error"], scores["voi"])


def check_order(labels: np.ndarray, case: Case) -> bool:
    """Whether layers of the truth, in their order, have numbers that grow one by one."""
    ordered = order_sheets(labels, kind="stack").labels
    pairs = []
    for sheet, layer in case.layers.items():
        here = case.truth == sheet
        if here.sum() >= LEAST_VOXELS:
            found = ordered[here & (ordered > 0)]
            pairs.append((layer, int(np.bincount(found).argmax()) if len(found) else -1))
    pairs = np.array(sorted(pairs))
    steps = np.diff(pairs[:, 1]) if pairs[-1, 1] > pairs[0, 1] else -np.diff(pairs[:, 1])
    return bool((steps == np.diff(pairs[:, 0])).all() and (pairs > 0).all())


def measure_meshes(labels: np.ndarray, case: Case) -> tuple[float, float]:
    """Return the median and 95 % of the distances of the sheets' meshes from the true middle."""
    off = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        mask = labels[box] == number
        if mask.sum() < LEAST_VOXELS or np.mean(case.truth[box][mask] > 0) < 0.3:
            continue
        try:
            mesh = smooth_mesh(build_sheet_mesh(mask.view(np.uint8), level=0.5), 10)
        except SurfsegError:
            continue
        at = mesh.vertices + [s.start for s in box]
        off.append(np.abs(ndimage.map_coordinates(case.off_middle, at.T, order=1, mode="nearest")))
    together = np.concatenate(off) if off else np.array([np.nan])
    return float(np.median(together)), float(np.quantile(together, 0.95))


def label_components(values: np.ndarray, threshold: float) -> np.ndarray:
    """Give connected pieces numbers, small ones left out."""
    labels = ndimage.label(values > 255 * threshold, FULL)[0]
    kept = np.bincount(labels.ravel()) >= 200
    kept[0] = False
    return np.where(kept[labels], labels, 0)


def measure_part(case: Case, is_meshed: bool) -> dict[str, Score]:
    """Score all methods on a part of a roll."""
    rising = [label_components(case.values, threshold) for threshold in THRESHOLDS]
    scores = [score(labels, case) for labels in rising]
    best = max(range(len(rising)), key=lambda i: (scores[i].right, -scores[i].error))
    separated = separate_sheets(case.values, settings=SheetSettings(min_voxels=200))
    ours = score(separated, case)
    ours.order = check_order(separated, case)
    ours.off = measure_meshes(separated, case) if is_meshed else (np.nan, np.nan)
    return {
        "components at 0.5": scores[0],
        "best threshold": scores[best],
        "split-touching-sheets": ours,
    }


def measure_whole(seed: int, kind: str, folder: Path) -> tuple[bool, float, int, int]:
    """Whether turns are counted and ordered right, the share of voxels with the right winding."""
    phantom, place, faces = make_phantom(seed, **WHOLE)
    rng = np.random.default_rng(seed)
    values = {
        "drawn": lambda: as_bytes(faces),
        "damaged": lambda: add_bridges(damage(faces, rng), faces, rng),
        "network": lambda: run_network(phantom, folder),
    }[kind]()
    labels = separate_sheets(values, settings=SheetSettings(roll=True, min_voxels=200))
    found = order_sheets(labels, min_voxels=200)
    known = faces & (found.labels > 0)
    apart = found.compute_turns()[known] - place.turns[known]
    middle = np.median(apart)
    agree = np.abs(apart - middle) < 0.35
    # The truth's turns, cut where ours are.
    true = np.rint(found.labels[known] - (apart - middle)).astype(int)
    sizes = np.bincount(true - true.min())
    right = [np.mean(agree[true == t]) > 0.9 for t in np.unique(true) if (true == t).sum() >= 1000]
    extra = [
        value for value in range(1, found.labels.max() + 1)
        if (here := found.labels[known] == value).sum() >= 1000 and np.mean(agree[here]) < 0.9
    ]  # fmt: skip
    return all(right) and not extra, float(np.mean(agree)), int((sizes >= 1000).sum()), len(extra)


def measure_masks(folder: Path, data: Path) -> list[str]:
    """Score masks above 0.5, and the same with bridges cut."""
    cases = [(f"damaged {seed}", make_part(seed, "damaged", folder)) for seed in range(3)]
    given = [(name, case.values, case.truth > 0) for name, case in cases]
    for part in ("test", "train"):
        image, membrane = (data / "fibsem_gala" / f"{part}_{k}.tif" for k in ("image", "membrane"))
        if image.exists():
            truth = tifffile.imread(membrane) > 0
            given.append((f"fibsem_gala {part}", predict(image, folder, (1.0, 1.0, 1.0)), truth))
    lines = [
        f"| mask | bridges | {' | '.join(MASK_SCORES)} |",
        "| --- | --- " + "| ---: " * 5 + "|",
    ]
    for name, values, truth in given:
        for cut, mask in (("", values > HALF), ("cut", cut_bridges(values))):
            found = compute_metrics(mask, truth.astype(np.uint8), tolerance=2.0)
            scores = " | ".join(f"{found[key]:.4f}" for key in MASK_SCORES)
            lines.append(f"| {name} | {cut} | {scores} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seeds")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--parts", default="damaged,papyrus,network,drawn", help="kinds of parts")
    parser.add_argument("--whole", default="damaged,network,drawn", help="kinds of whole rolls")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real volumes")
    options = parser.parse_args()
    seeds = range(2 if options.quick else 10)
    lines = [
        "| part of a roll | method | seeds all right | order right | sheets right | extra | "
        "adapted Rand error | VOI | mesh off by, median | 95 % |",
        "| --- | --- " + "| ---: " * 8 + "|",
    ]
    with tempfile.TemporaryDirectory() as name:
        for kind in filter(None, options.parts.split(",")):
            rows = defaultdict(list)
            for seed in seeds:
                case = make_part(seed, kind, Path(name))
                for method, made in measure_part(case, kind != "network").items():
                    rows[method].append(made)
                    print(f"  {kind} {seed} {method}: {made}", flush=True)
            for method, made in rows.items():
                lines.append(summarise(kind, method, made))
                print(lines[-1], flush=True)
    whole = [
        "| whole roll | seeds all right | turns | voxels with the right winding number |",
        "| --- | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as name:
        for kind in filter(None, options.whole.split(",")):
            found = [measure_whole(seed, kind, Path(name)) for seed in seeds]
            right, share, turns, _ = zip(*found, strict=True)
            whole.append(
                f"| {kind} | {sum(right)} of {len(right)} | {sum(turns)} | {np.mean(share):.3f} "
                f"(least {min(share):.3f}) |"
            )
            print(whole[-1], found, flush=True)
        masks = measure_masks(Path(name), options.data)
    text = "\n".join([*lines, "", *whole, "", *masks])
    if options.record:
        RESULTS.write_text(HEAD + text + "\n", encoding="utf-8")


def summarise(kind: str, method: str, made: list[Score]) -> str:
    """Make a row of the table."""
    meshed = [m.off for m in made if np.isfinite(m.off[0])]
    off = [f"{np.mean(values):.2f}" for values in zip(*meshed, strict=True)] or ["", ""]
    is_ours = method == "split-touching-sheets"
    return (
        f"| {kind} | {method} | {sum(m.is_right for m in made)} of {len(made)} | "
        f"{f'{sum(m.order for m in made)} of {len(made)}' if is_ours else ''} | "
        f"{sum(m.right for m in made)} of {sum(m.true for m in made)} | "
        f"{sum(m.extra for m in made)} | {np.mean([m.error for m in made]):.3f} | "
        f"{np.nanmean([m.voi for m in made]):.3f} | "
        f"{off[0]} | {off[1]} |"
    )


HEAD = f"""# Touching sheets

`python benchmarks/sheets.py` on {platform.machine()}, ten seeds of each kind, nothing trained.

*Seeds all right*: every true sheet of {LEAST_VOXELS} voxels or more has one number on more than
90 % of what was found of it, which no sheet of another layer has, and no other number is as large
(*extra*). *Order right*:
`order-sheets` numbers all of them, layer by layer, as they lie. Adapted Rand error and variation of
information (bits) are over true voxels with a number. *Mesh off by*: distance, in voxels, of the
vertices of each sheet's mesh from the true middle of the sheet.

*Drawn*: inner faces 2.5 voxels thick, as an annotator would draw them. *Damaged*: blurred, noise,
25 holes, 40 bridges as bright as the sheets or less. *Papyrus*: the whole sheet, 6 voxels thick
where it lies free, pressed against the next where the roll is tight. *Network*: `surfaces-tiny`,
which learned from membranes and has never seen papyrus; it finds more than the inner faces, so that
meshes are not compared. *Best threshold* is that of {", ".join(map(str, THRESHOLDS))} which agrees
best with the truth.

"""

if __name__ == "__main__":
    main()
