"""How far a training is, and the learning rate that goes with it: pure functions."""

from __future__ import annotations

import math

__all__ = ["WARMUP_SHARE", "compute_ema_decay", "compute_learning_rate", "compute_progress"]

#: Share of the training in which the learning rate rises.
WARMUP_SHARE = 0.15


def compute_progress(
    step: int,
    elapsed_seconds: float,
    *,
    max_steps: int | None,
    max_seconds: float | None,
) -> float:
    """Share of the training that is done: of the bound that will be met first.

    Parameters
    ----------
    step : int
        Optimizer steps finished.
    elapsed_seconds : float
        Running time, pauses left out.
    max_steps, max_seconds : optional
        Bounds; at least one is given.

    Returns
    -------
    float
        0 to 1; 1 means that the training is over.
    """
    shares = [0.0]
    if max_steps is not None:
        shares.append(step / max_steps)
    if max_seconds is not None:
        shares.append(elapsed_seconds / max_seconds)
    return min(1.0, max(shares))


def compute_learning_rate(progress: float, *, start: float, peak: float) -> float:
    """One-cycle learning rate (Smith and Topin 2018): a cosine up, a cosine down.

    Parameters
    ----------
    progress : float
        0 to 1.
    start, peak : float
        Rate at progress 0 and at the top, which comes at 15 %.

    Returns
    -------
    float
        The rate; it ends at a hundredth of ``start``.
    """
    if progress < WARMUP_SHARE:
        share = progress / WARMUP_SHARE
        return start + (peak - start) * 0.5 * (1 - math.cos(math.pi * share))
    end = start / 100
    share = (progress - WARMUP_SHARE) / (1 - WARMUP_SHARE)
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def compute_ema_decay(num_updates: int, decay: float) -> float:
    """Decay of the averaged weights: short at first, so that the random start is forgotten."""
    return min(decay, (1 + num_updates) / (10 + num_updates))
