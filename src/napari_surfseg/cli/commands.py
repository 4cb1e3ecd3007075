"""The commands, in the order in which ``surfseg --help`` lists them."""

from __future__ import annotations

from napari_surfseg.cli import demo, evaluate, overview, phantom, predict, train

__all__ = ["ALL"]

ALL = (
    train.add,
    predict.add,
    evaluate.add,
    overview.add_report,
    overview.add_runs,
    phantom.add,
    demo.add,
)
