"""Sentences on what a run's numbers show, and on what must not be concluded from them.

Each function looks at one thing and returns a sentence, or nothing. The limits are as important
as the conclusions: a small validation slab, a threshold chosen on the data that are scored, loss
weights that were changed halfway.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg import events
from napari_surfseg.runs.event_text import describe_criterion
from napari_surfseg.vocabulary import title_of
from napari_surfseg.wording import (
    describe_basis,
    describe_scores,
    format_duration,
    format_number,
    format_percent,
    list_words,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.runs.history import RunHistory

__all__ = ["describe_headline", "list_conclusions", "list_limits"]

#: A smaller relative change of a loss counts as none: losses of single patches vary by more.
NOTABLE_CHANGE = 0.02
#: Validation scores of small slabs vary by about this from epoch to epoch.
NOTABLE_SCORE = 0.01
#: A score that was reached within this share of the run and has not risen since is level.
LEVEL_SHARE = 0.7
#: With fewer surface voxels a difference of 0.01 between two scores may be chance.
FEW_SURFACE_VOXELS = 20_000
#: A run of fewer steps shows that the network learns, not how good it can become.
FEW_STEPS = 1000
SHARE_TOLERANCE = 0.05
#: Beside the surface Dice, in the headline.
SHOWN_SCORES = ("dice", "mean_dice", "score", "topo_score", "voi_score")


def describe_headline(history: RunHistory) -> str:
    """Return the first paragraph: what it reached, in how long, how it ended."""
    best, start = history.best, history.starts[-1]
    parts = []
    if best is not None and best.metrics.get("surface_dice") is not None:
        (main,) = describe_scores(best.metrics, ["surface_dice"])
        others = describe_scores(best.metrics, SHOWN_SCORES)
        parts.append(
            f"**{main[:1].upper()}{main[1:]}** on the validation data at epoch {best.epoch} "
            f"({', '.join(others)})."
        )
    elif best is not None and best.is_sparse and best.metrics.get("dice") is not None:
        (main,) = describe_scores(best.metrics, ["dice"])
        others = describe_scores(best.metrics, ["precision", "recall"])
        parts.append(
            f"**{main}** "
            f"{describe_basis(best.num_annotated, best.num_surface)}, at epoch {best.epoch} "
            f"({', '.join(others)}): strokes, not whole surfaces."
        )
    elif _was_not_validated(history):
        parts.append("**Not scored**: there was no validation.")
    else:
        parts.append("**No validation score**: nothing can be said about how good it is.")
    parts.append(
        f"{_describe_end(history)} after {_count(len(history.epochs), 'epoch')}, "
        f"{_count(history.num_steps, 'step')} and {format_duration(history.elapsed_seconds)} of "
        f"training of a {start.num_parameters / 1e6:.2f} M parameter network ({start.model}) on "
        f"{start.device}."
    )
    return " ".join(parts)


def list_conclusions(history: RunHistory) -> list[str]:
    """Return what the numbers show, the most important first."""
    found = [
        _describe_total(history),
        *_describe_trades(history),
        _describe_trend(history),
        _describe_balance(history),
        _describe_thickness(history),
        _describe_pieces(history),
        _describe_sampling(history),
    ]
    return [sentence for sentence in found if sentence]


def list_limits(history: RunHistory) -> list[str]:
    """Return what must not be concluded from the numbers."""
    found = [
        _describe_validation_data(history),
        _describe_few_steps(history),
        _describe_choice(history),
        _describe_threshold(history),
        _describe_changed_weights(history),
        _describe_topology(history),
        _describe_resumptions(history),
        _describe_totals(history),
    ]
    return [sentence for sentence in found if sentence]


def compute_change(first: float, last: float) -> float:
    """Return the relative change; 0 from 0 to 0, infinite from 0 to anything else."""
    if first == last:
        return 0.0
    return (last - first) / abs(first) if first else math.copysign(math.inf, last - first)


def _describe_end(history: RunHistory) -> str:
    match history.ending:
        case events.RunCompleted():
            return "The run was completed"
        case events.RunStopped():
            return "The run was stopped as asked"
        case events.RunFailed(message=message):
            return f"The run **failed** ({message.rstrip('.')})"
        case _:
            return "The run has not ended: it stands"


def _describe_total(history: RunHistory) -> str:
    _, totals = history.epoch_values("total")
    if len(totals) < 2:
        return "There are fewer than two finished epochs, so no trend can be seen."
    first, last = totals[0], totals[-1]
    change = compute_change(first, last)
    numbers = f"from {format_number(first)} to {format_number(last)} ({_signed(change)})"
    if change < -NOTABLE_CHANGE:
        late = totals[2 * len(totals) // 3 :]
        flat = len(late) > 3 and abs(compute_change(late[0], late[-1])) < NOTABLE_CHANGE
        tail = ", and hardly moved in the last third" if flat else ""
        return f"The total loss fell {numbers}{tail}."
    if change > NOTABLE_CHANGE:
        return f"The total loss **rose** {numbers}: this run did not learn what it was asked to."
    return f"The total loss hardly moved, {numbers}."


def _describe_trades(history: RunHistory) -> list[str]:
    _, totals = history.epoch_values("total")
    if len(totals) < 2 or totals[-1] >= totals[0]:
        return []
    rising = []
    weights = history.loss_weights
    for term in history.terms:
        _, values = history.epoch_values(term)
        if len(values) >= 2 and compute_change(values[0], values[-1]) > NOTABLE_CHANGE:
            rising.append((term, values[0], values[-1]))
    if not rising:
        return []
    risen_terms = list_words(
        [
            f"`{term}` rose from {format_number(a)} to {format_number(b)} "
            f"({_signed(compute_change(a, b))})"
            for term, a, b in rising
        ]
    )
    share = sum(weights.get(term, 0.0) for term, _, _ in rising)
    whole = sum(weights.values()) or 1.0
    return [
        f"While the total fell, {risen_terms}: with {format_percent(share / whole)} of the weight, "
        f"{'it was' if len(rising) == 1 else 'they were'} traded away for the other terms."
    ]


def _describe_trend(history: RunHistory) -> str:
    best_of_all = history.best
    if best_of_all is None or best_of_all.is_sparse:
        return ""
    epochs, scores = history.metric_values(best_of_all.scored_by)
    if len(scores) < 3 or best_of_all.epoch not in epochs:
        return ""
    name = title_of(best_of_all.scored_by)
    top = int(np.searchsorted(epochs, best_of_all.epoch))
    best, last = scores[top], scores[-1]
    if last < best - NOTABLE_SCORE and _loss_fell_since(history, epochs[top]):
        return (
            f"Since epoch {epochs[top]:.0f} the training loss fell further while the validation "
            f"{name} went from {format_number(best)} to {format_number(last)}: the network "
            "has begun to learn its training volumes by heart; `best.pt` is from before that."
        )
    quarter = scores[-max(2, len(scores) // 4) :]
    if top == len(scores) - 1 and quarter[-1] - quarter[0] > NOTABLE_SCORE / 2:
        return (
            f"The {name} was still rising at the end (the last scored epoch, "
            f"{epochs[-1]:.0f}, is the best): a longer training should bring more."
        )
    if best - last <= NOTABLE_SCORE and len(scores) >= 4:
        reached = epochs[int(np.argmax(scores >= best - NOTABLE_SCORE))]
        if reached > LEVEL_SHARE * epochs[-1]:
            return (
                f"The {name} came near its best only at epoch {reached:.0f} of "
                f"{epochs[-1]:.0f}: nothing shows that a longer training would not bring more."
            )
        return (
            f"The {name} came within {NOTABLE_SCORE} of its best at epoch {reached:.0f} "
            "and has been level since: more epochs alone will not help much."
        )
    return ""


def _describe_balance(history: RunHistory) -> str:
    metrics = _best_metrics(history)
    precision, recall = metrics.get("precision"), metrics.get("recall")
    if precision is None or recall is None:
        return ""
    numbers = f"precision {format_number(precision)}, recall {format_number(recall)}"
    if abs(precision - recall) < 0.05:
        return f"Missed and invented surface are in balance ({numbers})."
    if precision > recall:
        return f"It misses surface more than it invents it ({numbers})."
    return f"It invents surface more than it misses it ({numbers})."


def _describe_thickness(history: RunHistory) -> str:
    metrics = _best_metrics(history)
    surface, dice = metrics.get("surface_dice"), metrics.get("dice")
    if surface is None or dice is None or surface < 0.85 or surface - dice < 0.15:
        return ""
    return (
        f"The surfaces lie where they should (surface Dice {format_number(surface)}) but not voxel "
        f"for voxel (Dice {format_number(dice)}): position and thickness differ by a voxel or two, "
        "which for thin surfaces costs much of the Dice."
    )


def _describe_pieces(history: RunHistory) -> str:
    metrics = _best_metrics(history)
    pieces, true_pieces = metrics.get("b0_pred"), metrics.get("b0_label")
    tunnels, true_tunnels = metrics.get("b1_pred"), metrics.get("b1_label")
    if pieces is None or true_pieces is None:
        return ""
    text = f"The prediction consists of {pieces:.0f} pieces where the labels have {true_pieces:.0f}"
    if tunnels is not None and true_tunnels is not None:
        text += (
            f", with {tunnels:.0f} tunnels (holes in sheets, bridges) against {true_tunnels:.0f}"
        )
    return f"{text}."


def _describe_sampling(history: RunHistory) -> str:
    if not history.epochs or history.experiment is None:
        return ""
    shares = [e.patches.get("foreground_centred_share") for e in history.epochs.values()]
    known = [float(share) for share in shares if share is not None]
    asked = history.experiment.data.foreground_share
    if not known:
        return ""
    got = sum(known) / len(known)
    words = "as asked for" if abs(got - asked) <= SHARE_TOLERANCE else "**not** as asked for"
    return (
        f"{format_percent(got)} of the patches were centred on the surface, {words} "
        f"({format_percent(asked)})."
    )


def _describe_validation_data(history: RunHistory) -> str:
    rows = [row for row in _rows(history) if row.get("role") == "validation"]
    if not rows:
        if history.validations:
            return ""
        return (
            "There was no validation data, so nothing says how good the network is or when it was "
            "best: `best.pt` holds its newest averaged weights."
        )
    voxels = sum(math.prod(row["shape"]) for row in rows if row.get("shape"))
    surface = sum(
        math.prod(row["shape"]) * row["foreground_fraction"]
        for row in rows
        if row.get("shape") and row.get("foreground_fraction") is not None
    )
    trained_on = {row.get("image") for row in _rows(history) if row.get("role") == "train"}
    scored = history.best or next(iter(history.validations.values()), None)
    if scored is not None and scored.num_annotated:
        surface = scored.num_surface
        text = f"The scores were made {describe_basis(scored.num_annotated, scored.num_surface)}"
    else:
        text = (
            f"The scores come from {voxels / 1e6:.2f} million voxels with {surface:,.0f} of surface"
        )
    if surface < FEW_SURFACE_VOXELS:
        text += f", so few that a difference of {NOTABLE_SCORE} may be chance"
    if all(row.get("image") in trained_on for row in rows):
        return (
            f"{text}. They were cut from the training volumes (with a gap between): they say how "
            "well the network goes on in these, not how it does on another scan."
        )
    return f"{text}, in volumes that were not trained on."


def _describe_few_steps(history: RunHistory) -> str:
    if history.num_steps >= FEW_STEPS:
        return ""
    return (
        f"{_count(history.num_steps, 'step')} are few: the run shows that the network learns, not "
        "how well it can."
    )


def _describe_choice(history: RunHistory) -> str:
    best = history.best
    if best is None:
        return ""
    chosen = f"`best.pt` is epoch {best.epoch}, chosen by {describe_criterion(best)}"
    if best.is_warming_up:
        return f"{chosen}, while the learning rate still rose: the run ended before others counted."
    return f"{chosen}; by another score another epoch may be the best."


def _describe_threshold(history: RunHistory) -> str:
    best = history.best
    if best is None:
        return ""
    fixed = history.experiment.inference.threshold if history.experiment else None
    if fixed is not None:
        return f"The threshold was set to {fixed:g}, not chosen for the data."
    if best.is_sparse:
        return (
            f"The threshold stayed at {best.threshold:g} and no post-processing was chosen: "
            "strokes do not say how thick a surface is or where there is none."
        )
    return (
        f"The threshold {best.threshold:.2f} and the best epoch were chosen on the validation data "
        "itself, which makes its scores a little too good."
    )


def _describe_changed_weights(history: RunHistory) -> str:
    steps = [event.step for event in history.applied if event.command == "SetLossWeights"]
    if not steps:
        return ""
    where = list_words([str(step) for step in steps[:5]])
    return (
        f"The loss weights were changed while it ran (at step {where}), so totals before and after "
        "cannot be compared; the raw terms can."
    )


def _describe_topology(history: RunHistory) -> str:
    if not history.validations or "topo_score" in _best_metrics(history):
        return ""
    if any(event.is_sparse for event in history.validations.values()):
        return (
            "Only strokes were annotated in the validation data. Dice, precision and recall are "
            "counted on their voxels; surface Dice, variation of information and topology are "
            "absent, because between strokes nothing is known and anything would count as right."
        )
    return "`topo_score` is absent: it was not computed in this run, and neither was `score`."


def _describe_resumptions(history: RunHistory) -> str:
    times = len(history.starts) - 1
    return f"The run was resumed {_count(times, 'time')}." if times else ""


def _describe_totals(history: RunHistory) -> str:
    if not history.terms:
        return ""
    if not history.validations:
        return (
            "Losses are means over the patches an epoch happened to draw, of the weights as they "
            "were at each step."
        )
    return (
        "Losses are means over the patches an epoch happened to draw, of the weights as they were "
        "at each step; scores are of the averaged weights on all the validation data."
    )


def _loss_fell_since(history: RunHistory, epoch: float) -> bool:
    epochs, totals = history.epoch_values("total")
    before = totals[epochs <= epoch]
    return len(before) > 0 and len(totals) > 0 and totals[-1] < before[-1]


def _best_metrics(history: RunHistory) -> dict[str, float]:
    if history.best is not None:
        return history.best.metrics
    last: NDArray[Any] | list[int] = sorted(history.validations)
    return history.validations[last[-1]].metrics if len(last) else {}


def _was_not_validated(history: RunHistory) -> bool:
    rows = _rows(history)
    return bool(rows) and all(row.get("role") != "validation" for row in rows)


def _rows(history: RunHistory) -> list[dict[str, Any]]:
    return history.data.volumes if history.data else []


def _signed(change: float) -> str:
    if not math.isfinite(change):
        return "from nothing"
    return f"{100 * change:+.0f} %".replace("-", "−")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
