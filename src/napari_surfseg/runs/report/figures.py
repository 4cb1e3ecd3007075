"""The pictures of a report, drawn with matplotlib and no display.

The object-oriented interface is used throughout: nothing global is changed, so
a report can be drawn inside any process, a window's included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch

from napari_surfseg.files import written_aside
from napari_surfseg.runs.report.conclusions import compute_change
from napari_surfseg.vocabulary import SCORES, color_of, title_of
from napari_surfseg.wording import format_number

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_surfseg.metrics.error_samples import ErrorRow, ErrorSamples
    from napari_surfseg.runs.history import RunHistory
    from napari_surfseg.runs.report.samples import Sample

__all__ = [
    "draw_errors",
    "draw_losses",
    "draw_sample",
    "draw_schedule",
    "draw_scores",
    "draw_topology",
]

#: Okabe and Ito's colours, which people with any colour vision can tell apart.
AGREED, MISSED, INVENTED, IGNORED = "#009E73", "#0072B2", "#D55E00", "#9A9A9A"
INK, FAINT = "#222222", "#8A8A8A"
DPI = 120
#: More points than a picture has pixels only cost time.
MAX_POINTS = 600
#: Scores end at 1; a little more, so that a line there is seen whole.
SCORE_TOP = 1.02
#: A line of text, as a share of the height of the scores' axes.
LINE_SHARE = 0.062


def draw_losses(history: RunHistory, path: Path) -> bool:
    """Draw the total and every term in a panel of its own; False if there is nothing to draw."""
    names = [name for name in ("total", *history.terms) if len(history.step_values(name)[0])]
    if not names:
        return False
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    width, height = 2.95 * columns + 0.25, 2.3 * rows + 0.2
    figure = _new_figure(width, height, tight=False)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    figure.subplots_adjust(
        left=0.5 / width,
        right=1 - 0.1 / width,
        bottom=0.45 / height,
        top=1 - 0.42 / height,
        wspace=0.24,
        hspace=0.46,
    )
    for place, axes in enumerate(grid.flat):
        if place >= len(names):
            axes.set_axis_off()
            continue
        _draw_loss(axes, history, names[place])
        # The lowest panel of each column carries the axis, also where the last row is short.
        lowest = place + columns >= len(names)
        axes.tick_params(labelbottom=lowest)
        if lowest:
            axes.set_xlabel("epoch")
    _save(figure, path)
    return True


def draw_scores(history: RunHistory, path: Path) -> bool:
    """Draw the validation scores over the epochs; False if there are none."""
    curves = [(name, *history.metric_values(name)) for name in SCORES]
    curves = [curve for curve in curves if len(curve[1])]
    if not curves:
        return False
    figure = _new_figure(9.2, 3.9)
    axes = figure.subplots()
    _style(axes)
    last_epoch = max(epochs[-1] for _, epochs, _ in curves)
    best = history.best
    deciding = "" if best is None else best.scored_by
    for name, epochs, values in curves:
        main = name == deciding
        axes.plot(
            epochs,
            values,
            color=color_of(name, light=True),
            linewidth=2.4 if main else 1.3,
            marker="o",
            markersize=3.5 if len(epochs) < 60 else 0,
            zorder=3 if main else 2,
        )
    low = max(0.0, min(float(values.min()) for _, _, values in curves) - 0.05)
    ends = [(name, float(values[-1])) for name, _, values in curves]
    _label_ends(axes, ends, low, bold=deciding)
    if best is not None:
        score = best.metrics.get(best.scored_by)
        axes.axvline(best.epoch, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"best.pt by {title_of(best.scored_by)}, epoch {best.epoch}",
            (best.epoch, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-5, 0) if best.epoch > last_epoch / 2 else (5, 0),
            textcoords="offset points",
            ha="right" if best.epoch > last_epoch / 2 else "left",
            fontsize=8,
            color=FAINT,
        )
        if score is not None:
            axes.plot(
                best.epoch,
                score,
                marker="*",
                markersize=14,
                color=color_of(best.scored_by, light=True),
                zorder=4,
                clip_on=False,
            )
    axes.set_ylim(low, SCORE_TOP)
    first = min(float(epochs[0]) for _, epochs, _ in curves)
    axes.set_xlim(min(first, last_epoch - 1) - 0.02 * last_epoch, last_epoch)
    axes.set_xlabel("epoch")
    is_sparse = any(event.is_sparse for event in history.validations.values())
    what = "voxels of strokes" if is_sparse else "all of the validation data"
    _title(axes, "Validation scores", f"averaged weights, {what}")
    _save(figure, path)
    return True


def draw_topology(history: RunHistory, path: Path) -> bool:
    """Draw how many pieces, tunnels and cavities there are; False if they were not counted."""
    names = ("Pieces", "Tunnels (holes, bridges)", "Cavities")
    curves = {
        (kind, dimension): history.metric_values(f"topo_{kind}_{dimension}")
        for kind in ("pred", "label", "matched")
        for dimension in range(3)
    }
    if not any(len(epochs) for epochs, _ in curves.values()):
        return False
    figure = _new_figure(11.6, 2.8)
    for dimension, (axes, name) in enumerate(zip(figure.subplots(1, 3), names, strict=True)):
        _style(axes)
        for kind, color, label, style in (
            ("pred", INVENTED, "in the prediction", "-"),
            ("label", INK, "in the labels", (0, (4, 3))),
            ("matched", AGREED, "matched", "-"),
        ):
            epochs, values = curves[kind, dimension]
            axes.plot(epochs, values, color=color, linewidth=1.8, linestyle=style, label=label)
        # The first epochs have thousands, the last ones tens: both are to be seen.
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch")
        _title(axes, name)
    handles = figure.axes[0].get_lines()
    figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    _save(figure, path)
    return True


def draw_schedule(history: RunHistory, path: Path) -> bool:
    """Draw learning rate, step rate and where the time went; False if there is nothing."""
    if not history.steps:
        return False
    figure = _new_figure(11.6, 2.5)
    rate, speed, spent = figure.subplots(1, 3)
    for axes, name, title, scale, color in (
        (rate, "learning_rate", "Learning rate × 10⁻⁴", 1e4, "#0072B2"),
        (speed, "steps_per_second", "Steps a second", 1.0, "#009E73"),
    ):
        _style(axes)
        epochs, values = _thin(*history.step_values(name))
        axes.plot(epochs, values * scale, color=color, linewidth=1.6)
        axes.set_ylim(0, scale * max(values, default=1) * 1.12 or 1)
        axes.set_xlabel("epoch")
        _title(axes, title)
    _draw_time(spent, history)
    _save(figure, path)
    return True


def draw_sample(sample: Sample, path: Path) -> None:
    """Draw two slices of a piece of validation data beside their labels and prediction."""
    slices = sample.choose_slices()
    heights = [max(view.image.shape[0] / view.image.shape[1], 0.18) for view in slices]
    width = 12.2
    panel = (width - 0.9) / 4
    figure = _new_figure(width, panel * sum(heights) + 0.32 * len(slices) + 0.55, tight=False)
    grid = figure.subplots(
        len(slices),
        4,
        squeeze=False,
        gridspec_kw={"height_ratios": heights, "wspace": 0.03, "hspace": 0.06},
    )
    prediction = (
        "prediction" if sample.surfaces is not None else (f"prediction at {sample.threshold:.2f}")
    )
    titles = ("image", "labels", "probability", prediction)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10, color=INK, pad=5)
    for row, view in zip(grid, slices, strict=True):
        low, high = np.percentile(view.image, (0.5, 99.5))
        grey = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1)}
        for axes in row:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(view.name, fontsize=9, color=FAINT)
        row[0].imshow(view.image, **grey)
        row[1].imshow(_paint_labels(view.image, view.labels, low, high))
        row[2].imshow(view.probabilities, cmap="magma", vmin=0, vmax=255)
        row[3].imshow(_paint_agreement(view.image, view.labels, view.prediction, low, high))
    _add_agreement_legend(figure)
    figure.text(0.008, 0.012, sample.title, fontsize=9, color=FAINT, va="bottom")
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.03, right=0.995, top=1 - 0.28 / height, bottom=0.4 / height)
    _save(figure, path)


def draw_errors(samples: ErrorSamples, path: Path) -> bool:
    """Draw a slice through the largest errors, a row a name; False if there are no pictures."""
    by_name: dict[str, list[ErrorRow]] = {}
    for row in samples.rows:
        if row.picture is not None:
            by_name.setdefault(row.error.name, []).append(row)
    if not by_name:
        return False
    columns = max(map(len, by_name.values()))
    edge, height = 2.3, 2.62 * len(by_name) + 0.4
    figure = _new_figure(max(edge * columns + 0.3, 5.4), height, tight=False)
    grid = figure.subplots(len(by_name), columns, squeeze=False)
    for axes, (name, rows) in zip(grid, by_name.items(), strict=True):
        for panel in axes[len(rows) :]:
            panel.set_axis_off()
        for panel, row in zip(axes, rows, strict=False):
            _draw_error(panel, row)
        axes[0].set_ylabel(name, fontsize=9.5, color=INK, fontweight="bold")
    _add_agreement_legend(figure)
    figure.subplots_adjust(
        left=0.07, right=0.99, top=1 - 0.3 / height, bottom=0.42 / height, wspace=0.06, hspace=0.2
    )
    _save(figure, path)
    return True


def _draw_error(axes: Axes, row: ErrorRow) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if row.picture is None:
        return
    image, labels, predicted = row.picture.planes
    low, high = np.percentile(image, (0.5, 99.5))
    axes.imshow(_paint_agreement(image, labels, predicted > 0, low, high), interpolation="nearest")
    y, x = row.picture.mark
    reach = [e for axis, e in enumerate(row.error.extent) if axis != row.picture.axis]
    # The patch behind a tunnel can be all that is too thick; the tunnel is at its marked voxel.
    most = 20 if row.error.dimension == 1 else max(image.shape)
    radius = min(max(*reach, 6), most) / 2 + 3
    axes.add_patch(Circle((x, y), radius, fill=False, edgecolor="white", linewidth=1.2))
    axes.set_title(
        f"{row.error.size:,} voxels at {', '.join(map(str, row.error.location))}",
        fontsize=7.6,
        color=FAINT,
        pad=3,
    )


def _add_agreement_legend(figure: Figure) -> None:
    """Say what the colours of :func:`_paint_agreement` mean."""
    named = {
        "found": AGREED,
        "missed": MISSED,
        "invented": INVENTED,
        "not annotated": IGNORED,
    }
    handles = [Patch(color=color, label=label) for label, color in named.items()]
    figure.legend(
        handles=handles, loc="lower right", ncols=4, frameon=False, fontsize=9, handlelength=1.1
    )


def _draw_loss(axes: Axes, history: RunHistory, name: str) -> None:
    _style(axes)
    color = color_of(name, light=True)
    epochs, values = history.step_values(name)
    axes.plot(*_thin(epochs, values), color=color, alpha=0.28, linewidth=0.9)
    means_at, means = history.epoch_values(name)
    if len(means):
        # The mean of an epoch belongs to its middle.
        axes.plot(means_at - 0.5, means, color=color, linewidth=2.2)
    shown = np.concatenate([np.percentile(values, (1, 99)), means])
    low, high = float(shown.min()), float(shown.max())
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.1
    axes.set_ylim(max(0, low - margin), high + margin)
    note = ""
    if len(means) > 1:
        change = 100 * compute_change(means[0], means[-1])
        note = f"{format_number(means[0])} → {format_number(means[-1])}  ({change:+.0f} %)"
    _title(axes, name, note.replace("-", "−"), below=True)


def _draw_time(axes: Axes, history: RunHistory) -> None:
    _style(axes)
    epochs = sorted(history.epochs)
    training = np.array([history.epochs[epoch].epoch_seconds for epoch in epochs], dtype=float)
    scoring = np.array(
        [history.validations[e].seconds if e in history.validations else 0.0 for e in epochs]
    )
    if len(epochs) > MAX_POINTS:
        step = -(-len(epochs) // MAX_POINTS)
        epochs, training, scoring = epochs[::step], training[::step], scoring[::step]
    width = 0.85 if len(epochs) < 80 else 1.0
    axes.bar(epochs, training, width=width, color="#0072B2", label="training")
    axes.bar(epochs, scoring, width=width, bottom=training, color="#E69F00", label="validation")
    axes.set_xlabel("epoch")
    _title(axes, "Seconds an epoch")
    axes.set_ylim(0, max((training + scoring).max(initial=0) * 1.3, 1e-3))
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=2, handlelength=1)


def _label_ends(axes: Axes, ends: list[tuple[str, float]], low: float, *, bold: str) -> None:
    """Write each curve's name at its end, moved apart where they would overlap."""
    order = sorted(range(len(ends)), key=lambda place: ends[place][1])
    heights = [(ends[place][1] - low) / (SCORE_TOP - low) for place in order]
    for upper in range(1, len(heights)):
        heights[upper] = max(heights[upper], heights[upper - 1] + LINE_SHARE)
    ceiling = 1.0
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], ceiling)
        ceiling = heights[place] - LINE_SHARE
    at = dict(zip(order, heights, strict=True))
    for place, (name, value) in enumerate(ends):
        axes.annotate(
            f"{name}  {format_number(value)}",
            (1.0, at[place]),
            xycoords="axes fraction",
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=color_of(name, light=True),
            fontweight="bold" if name == bold else "normal",
            annotation_clip=False,
        )


def _thin(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average neighbours so that at most ``MAX_POINTS`` are left."""
    group = -(-len(x) // MAX_POINTS)
    if group <= 1:
        return x, y
    whole = len(x) // group * group
    return x[:whole].reshape(-1, group).mean(1), y[:whole].reshape(-1, group).mean(1)


def _grey(image: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    values = np.clip((image.astype(float) - low) / max(high - low, 1), 0, 1)
    return np.repeat(values[..., None], 3, axis=2)


def _blend(
    picture: NDArray[np.float64], where: NDArray[np.bool_], color: str, alpha: float
) -> None:
    picture[where] = (1 - alpha) * picture[where] + alpha * np.array(to_rgb(color))


def _paint_labels(
    image: NDArray[Any], labels: NDArray[Any], low: float, high: float
) -> NDArray[np.float64]:
    picture = _grey(image, low, high)
    _blend(picture, labels == 1, "#F0E442", 0.85)
    _blend(picture, labels == 2, IGNORED, 0.6)
    return picture


def _paint_agreement(
    image: NDArray[Any],
    labels: NDArray[Any],
    predicted: NDArray[np.bool_],
    low: float,
    high: float,
) -> NDArray[np.float64]:
    picture = 0.75 * _grey(image, low, high)
    _blend(picture, (labels == 1) & predicted, AGREED, 0.9)
    _blend(picture, (labels == 1) & ~predicted, MISSED, 0.9)
    _blend(picture, (labels == 0) & predicted, INVENTED, 0.9)
    _blend(picture, labels == 2, IGNORED, 0.6)
    return picture


def _new_figure(width: float, height: float, *, tight: bool = True) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained" if tight else None)
    FigureCanvasAgg(figure)
    return figure


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BBBBBB")
    axes.tick_params(labelsize=8, colors="#555555", length=3)
    axes.grid(axis="y", color="#EBEBEB", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.label.set(fontsize=8.5, color="#555555")
    axes.locator_params(axis="y", nbins=5)
    axes.locator_params(axis="x", nbins=8, integer=True)


def _title(axes: Axes, title: str, note: str = "", *, below: bool = False) -> None:
    axes.set_title(
        title,
        loc="left",
        fontsize=10,
        fontweight="bold",
        color=INK,
        pad=17 if below and note else 6,
    )
    if note and below:
        axes.text(0, 1.035, note, transform=axes.transAxes, fontsize=8.2, color=FAINT)
    elif note:
        axes.set_title(note, loc="right", fontsize=8.2, color=FAINT)


def _save(figure: Figure, path: Path) -> None:
    with written_aside(path) as aside:
        figure.savefig(aside, format="png", dpi=DPI, facecolor="white")
