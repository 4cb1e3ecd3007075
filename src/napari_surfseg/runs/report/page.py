"""Write ``report.md`` of a run, and its pictures into ``report/`` beside it.

A report is made from the run folder alone: at the end of a run, or on demand, also while the run
is still training.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_surfseg import __version__
from napari_surfseg.config import Experiment
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.metrics.error_samples import read_error_samples
from napari_surfseg.runs.event_text import describe_memory
from napari_surfseg.runs.history import RunHistory, read_history
from napari_surfseg.runs.report.conclusions import (
    compute_change,
    describe_headline,
    list_conclusions,
    list_limits,
)
from napari_surfseg.runs.report.held_out_section import describe_held_out
from napari_surfseg.runs.report.samples import read_samples
from napari_surfseg.runs.report.topology_section import describe_errors
from napari_surfseg.vocabulary import SCORES
from napari_surfseg.wording import (
    format_bytes,
    format_duration,
    format_number,
    format_percent,
    format_size,
    shorten_sources,
    tabulate_markdown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["write_report"]

#: Rows of the table of selected epochs: the doublings show a curve's shape in few rows.
MAX_SELECTED = 14
#: What the topology score counts, by dimension.
FEATURES = ("pieces", "tunnels (holes, bridges)", "cavities")
#: What a kept step of the post-processing may cost in Dice and in surface Dice.
MAX_SCORE_LOSS = 0.002
#: Settings that the report shows in a place of their own.
SHOWN_ELSEWHERE = frozenset(
    {"data.train", "data.validation", "experiment.name", "experiment.notes"}
)


def write_report(run_dir: str | Path) -> Path:
    """Write the report of a run and return its path.

    Raises
    ------
    RunError
        If the folder holds no run, or one in which nothing happened yet.
    OutputError
        If it cannot be written; an earlier report stays.
    """
    history = read_history(run_dir)
    folder = history.folder
    try:
        folder.report_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(folder.report_folder, error) from error
    pictures = _draw(history)
    text = "\n".join(_compose(history, pictures)) + "\n"
    with written_aside(folder.report_path) as aside:
        aside.write_text(text, encoding="utf-8")
    return folder.report_path


def _draw(history: RunHistory) -> dict[str, str]:
    """Draw what there is to draw; return each picture's path relative to the report."""
    # Here, because matplotlib takes a second to import and everything else does without.
    from napari_surfseg.runs.report import figures

    folder = history.folder.report_folder
    pictures = {}
    for name, draw in (
        ("losses", figures.draw_losses),
        ("scores", figures.draw_scores),
        ("topology", figures.draw_topology),
        ("schedule", figures.draw_schedule),
    ):
        if draw(history, folder / f"{name}.png"):
            pictures[name] = f"report/{name}.png"
    threshold = history.best.threshold if history.best is not None else 0.5
    for place, sample in enumerate(read_samples(history.folder.samples, threshold)):
        name = f"validation_{place}"
        figures.draw_sample(sample, folder / f"{name}.png")
        pictures[name] = f"report/{name}.png"
    errors = read_error_samples(history.folder.samples)
    if errors is not None and figures.draw_errors(errors, folder / "topology_errors.png"):
        pictures["topology_errors"] = "report/topology_errors.png"
    return pictures


def _compose(history: RunHistory, pictures: dict[str, str]) -> list[str]:
    lines = [f"# {history.name}", "", describe_headline(history), ""]
    notes = history.experiment.experiment.notes if history.experiment else ""
    if notes:
        lines += [notes, ""]
    lines += _picture(pictures, "scores", "Validation scores over the epochs")
    lines += _bullets("What the data says", list_conclusions(history))
    lines += _bullets("What it does not say", list_limits(history))
    lines += _bullets("Warnings", history.warnings)
    lines += _losses(history)
    lines += _picture(pictures, "losses", "Every loss term over the epochs")
    lines += _selected_epochs(history)
    lines += _volumes(history)
    samples = [name for name in pictures if name.startswith("validation_")]
    if samples:
        lines += ["## Predictions on validation data", ""]
        for name in samples:
            lines += _picture(pictures, name, "Image, labels, probability and prediction")
    lines += _topology(history)
    lines += _picture(pictures, "topology", "Pieces, tunnels and cavities over the epochs")
    errors = read_error_samples(history.folder.samples)
    lines += describe_errors(errors, pictures.get("topology_errors"))
    lines += _postprocessing(history)
    lines += describe_held_out(history.folder)
    lines += _timing(history)
    lines += _picture(pictures, "schedule", "Learning rate, step rate and seconds an epoch")
    lines += _patches(history)
    lines += _data(history)
    lines += _settings(history)
    lines += _environment(history)
    stamp = time.strftime("%Y-%m-%d %H:%M")
    lines += ["---", f"Written {stamp} by napari-surfseg {__version__}."]
    return lines


def _losses(history: RunHistory) -> list[str]:
    if not history.epochs:
        return []
    weights = history.loss_weights
    first_epoch, last_epoch = min(history.epochs), max(history.epochs)
    rows = []
    for name in (*history.terms, "head_total", "total"):
        _, values = history.epoch_values(name)
        if not len(values):
            continue
        weight = f"{weights[name]:g}" if name in weights else ""
        change = compute_change(values[0], values[-1])
        label = {"head_total": "sum of weight × term", "total": "**total, all heads**"}.get(
            name, f"`{name}`"
        )
        rows.append(
            [
                label,
                weight,
                format_number(values[0], 4),
                format_number(values[-1], 4) if len(values) > 1 else "–",
                f"{100 * change:+.1f} %".replace("-", "−") if len(values) > 1 else "–",
            ]
        )
    header = ["term", "weight", f"epoch {first_epoch}", f"epoch {last_epoch}", "change"]
    return ["## Losses", "", *tabulate_markdown(header, rows, left=1), ""]


def _selected_epochs(history: RunHistory) -> list[str]:
    if not history.epochs:
        return []
    best = history.best.epoch if history.best else None
    chosen = select_epochs(sorted(history.epochs), best)
    scores = [name for name in SCORES if len(history.metric_values(name)[0])]
    header = ["epoch", "total", *history.terms, *scores]
    rows = []
    for epoch in chosen:
        event = history.epochs[epoch]
        validation = history.validations.get(epoch)
        metrics = validation.metrics if validation else {}
        rows.append(
            [
                f"**{epoch}** (best)" if epoch == best else str(epoch),
                format_number(event.total),
                *(format_number(event.losses.get(term)) for term in history.terms),
                *(format_number(metrics.get(name)) for name in scores),
            ]
        )
    shown = [name.replace("_", " ") for name in header]
    return ["## Selected epochs", "", *tabulate_markdown(shown, rows, left=1), ""]


def _volumes(history: RunHistory) -> list[str]:
    """Tabulate the scores of each volume at the best epoch, the worst first."""
    best = history.best
    volumes = best.volumes if best is not None else []
    if best is None or not volumes:
        return []
    names = [name for name in SCORES if any(name in row["metrics"] for row in volumes)]
    short = shorten_sources([str(row["image"]) for row in volumes])
    scored = sorted(
        zip(short, volumes, strict=True),
        key=lambda entry: entry[1]["metrics"].get(best.scored_by, float("inf")),
    )
    rows = [
        [
            f"`{name}`",
            f"{row['num_annotated']:,}",
            *(format_number(row["metrics"].get(score)) for score in names),
        ]
        for name, row in scored
    ]
    header = ["image", "voxels scored", *(name.replace("_", " ") for name in names)]
    return [
        "## Scores of each volume",
        "",
        f"On the validation data, at epoch {best.epoch}, whose weights are `best.pt`; the worst by "
        f"{best.scored_by.replace('_', ' ')} first.",
        "",
        *tabulate_markdown(header, rows, left=1),
        "",
    ]


def select_epochs(epochs: Sequence[int], best: int | None) -> list[int]:
    """Choose the epochs to show: the first, the doublings, the best and the last."""
    wanted = {epochs[0], epochs[-1], best}
    power = 1
    while power < epochs[-1]:
        wanted.add(power)
        power *= 2
    chosen = [epoch for epoch in epochs if epoch in wanted]
    return chosen if len(chosen) <= MAX_SELECTED else chosen[:2] + chosen[2 - MAX_SELECTED :]


def _postprocessing(history: RunHistory) -> list[str]:
    if history.tuned is None:
        return []
    goal = history.tuned.goal
    header = ["tried", goal, "gain on pieces left out", "kept"]
    rows = [
        [
            str(step["name"]),
            format_number(step["score"], 4),
            f"{step['gain']:+.4f}",
            "yes" if step["kept"] else "no",
        ]
        for step in history.tuned.steps[1:]
    ]
    changed = ", ".join(
        f"`{name}` {value}" for name, value in history.tuned.settings.items() if value
    )
    num_kept = sum(bool(step["kept"]) for step in history.tuned.steps[1:])
    return [
        "## Post-processing",
        "",
        f"Chosen on the validation data by `{goal}`, one step after the other: "
        f"{history.tuned.score_before:.4f} at a plain threshold to "
        f"{history.tuned.score_after:.4f}, with {changed}. {num_kept} of the "
        f"{len(rows)} steps below were kept: with them, pieces of the data score higher that had "
        "no part in choosing the values, and neither Dice nor surface Dice falls by more than "
        f"{MAX_SCORE_LOSS:g}, here, on the pieces or on training data. `best.pt` holds the "
        "settings and `surfseg predict` uses them. Scores on the data they were chosen on are a "
        "little too good.",
        "",
        *tabulate_markdown(header, rows, left=1),
        "",
    ]


def _topology(history: RunHistory) -> list[str]:
    best = history.best
    if best is None or best.metrics.get("topo_score") is None:
        return []
    rows = []
    for dimension, name in enumerate(FEATURES):
        predicted, labelled, matched = (
            best.metrics.get(f"topo_{kind}_{dimension}") for kind in ("pred", "label", "matched")
        )
        if predicted is None or labelled is None or matched is None:
            continue
        counted = predicted + labelled
        agreement = format_number(2 * matched / counted) if counted else "–"
        rows.append([name, *(f"{v:.0f}" for v in (predicted, labelled, matched)), agreement])
    if not rows:
        return []
    header = ["", "in the prediction", "in the labels", "matched", "agreement"]
    return [
        "## Topology",
        "",
        f"At epoch {best.epoch}, counted in the eight octants of the validation data as the "
        f"topology score ({format_number(best.metrics['topo_score'])}) does: a feature is matched "
        "if prediction and labels have it at the same place.",
        "",
        *tabulate_markdown(header, rows, left=1),
        "",
    ]


def _timing(history: RunHistory) -> list[str]:
    epochs = list(history.epochs.values())
    if not epochs:
        return []
    seconds = sum(event.epoch_seconds for event in epochs)
    scoring = sum(event.seconds for event in history.validations.values())
    began = history.starts[0].time
    ended = history.ending.time if history.ending else max(event.time for event in epochs)
    rate = sum(event.steps_per_second for event in epochs) / len(epochs)
    rows = [
        ["wall clock, start to end", format_duration(ended - began)],
        ["training time", format_duration(history.elapsed_seconds)],
        ["an epoch", format_duration(seconds / len(epochs))],
        ["steps a second", f"{rate:.3g}"],
        ["validation, all together", format_duration(scoring)],
    ]
    if history.memory is not None:
        rows.append(["memory", describe_memory(history.memory)])
    return ["## Time and memory", "", *tabulate_markdown(["", ""], rows, left=1), ""]


def _patches(history: RunHistory) -> list[str]:
    epochs = [event for _, event in sorted(history.epochs.items())]
    if not epochs:
        return []
    header = ["", f"epoch {epochs[0].epoch}", f"epoch {epochs[-1].epoch}", "mean"]
    rows = []
    for key, label in (
        ("foreground_centred_share", "patches centred on the surface"),
        ("foreground_fraction", "surface voxels in patches"),
        ("ignored_fraction", "ignored voxels in patches"),
    ):
        values = [event.patches.get(key) for event in epochs]
        known = [float(value) for value in values if value is not None]
        if known:
            mean = sum(known) / len(known)
            rows.append([label, *map(format_percent, (values[0], values[-1], mean))])
    cache = epochs[-1].cache
    if cache:
        hits, misses = cache.get("hits") or 0, cache.get("misses") or 0
        if hits + misses:
            rows.append(
                ["chunks found in the cache", "", format_percent(hits / (hits + misses)), ""]
            )
        if cache.get("num_bytes") is not None and cache.get("max_bytes"):
            rows.append(
                [
                    "cache in use",
                    "",
                    f"{format_bytes(cache['num_bytes'])} of {format_bytes(cache['max_bytes'])}",
                    "",
                ]
            )
    lines = ["## Patches", "", *tabulate_markdown(header, rows, left=1), ""] if rows else []
    totals: dict[str, int] = {}
    for event in epochs:
        for name, count in (event.patches.get("sources") or {}).items():
            totals[name] = totals.get(name, 0) + int(count)
    if len(totals) > 1:
        lines += [
            *tabulate_markdown(
                ["source", "patches"], [[f"`{n}`", str(c)] for n, c in totals.items()]
            ),
            "",
        ]
    return lines


def _data(history: RunHistory) -> list[str]:
    if history.data is None:
        return []
    rows = [
        [
            str(row.get("role", "")),
            f"`{row.get('image')}`",
            format_size(row["shape"]) if row.get("shape") else "–",
            " × ".join(f"{value:g}" for value in row.get("spacing") or ()) or "–",
            format_percent(row.get("foreground_fraction")),
            format_percent(row.get("ignored_fraction")),
        ]
        for row in history.data.volumes
    ]
    header = ["role", "image", "voxels", "voxel size", "surface", "ignored"]
    lines = ["## Data", "", *tabulate_markdown(header, rows, left=2), ""]
    for note in history.data.notes:
        lines += [note, ""]
    return lines


def _settings(history: RunHistory) -> list[str]:
    if history.experiment is None:
        return []
    rows = [
        [f"`{key}`", f"`{value}`", f"`{default}`"]
        for key, value, default in find_changed_settings(history.experiment)
    ]
    lines = ["## Settings that differ from the defaults", ""]
    if not rows:
        return [*lines, "None. All of them are in `config.yaml`.", ""]
    return [
        *lines,
        *tabulate_markdown(["setting", "here", "default"], rows, left=3),
        "",
        "All of them are in `config.yaml`.",
        "",
    ]


def find_changed_settings(experiment: Experiment) -> list[tuple[str, Any, Any]]:
    """Return (dotted key, value, default) of the settings that are not at their default."""
    found: list[tuple[str, Any, Any]] = []

    def compare(prefix: str, value: Any, default: Any) -> None:
        if isinstance(value, dict) and isinstance(default, dict):
            for key in value:
                compare(f"{prefix}.{key}" if prefix else key, value[key], default.get(key))
        elif value != default and prefix not in SHOWN_ELSEWHERE:
            found.append((prefix, value, default))

    compare("", experiment.model_dump(mode="json"), Experiment().model_dump(mode="json"))
    return found


def _environment(history: RunHistory) -> list[str]:
    start, values = history.starts[-1], history.environment
    packages = values.get("packages") or {}
    threads = values.get("threads")
    rows = [
        ("device", f"{start.device}, {start.precision}"),
        (
            "machine",
            f"{values.get('host', '?')}, {values.get('cores', '?')} cores"
            f"{f' ({threads} threads used)' if threads else ''}, "
            f"{format_bytes(values.get('memory_bytes') or 0)} of memory",
        ),
        ("system", f"{values.get('platform', '?')}, Python {values.get('python', '?')}"),
        ("packages", ", ".join(f"{name} {v}" for name, v in packages.items() if v) or "?"),
        ("git revision", f"`{values['git_revision']}`" if values.get("git_revision") else "none"),
    ]
    rows += [
        (f"labels `{name}`", f"`{digest}`" if digest else "not hashed")
        for name, digest in (values.get("labels") or {}).items()
    ]
    return ["## Environment", "", *(f"- {what}: {text}" for what, text in rows), ""]


def _picture(pictures: dict[str, str], name: str, alternative: str) -> list[str]:
    return [f"![{alternative}]({pictures[name]})", ""] if name in pictures else []


def _bullets(title: str, sentences: list[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {text}" for text in sentences), ""] if sentences else []
