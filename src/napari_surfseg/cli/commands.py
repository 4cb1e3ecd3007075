"""The commands, in the order in which ``surfseg --help`` lists them."""

from __future__ import annotations

from napari_surfseg.cli import (
    demo,
    doubt,
    evaluate,
    export,
    launchers,
    networks,
    phantom,
    predict,
    report,
    runs,
    tool,
    train,
)

__all__ = ["ALL"]

ALL = (
    train.add,
    predict.add,
    evaluate.add,
    doubt.add,
    report.add,
    runs.add,
    launchers.add,
    networks.add,
    export.add,
    tool.add,
    phantom.add,
    demo.add,
)
