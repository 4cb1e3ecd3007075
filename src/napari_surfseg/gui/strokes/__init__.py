"""Strokes: the layer and brush a person paints them with, and their way to the run.

Here: what is painted, found by comparison and sent. Not here: what a run learns from it
(``data/strokes``), nor the form in which volumes are chosen (``training``)::

    labels layer ── painted ──▶ controller ── the brush rests, in a thread ──▶ collect_strokes
                                                                               │
          with a worker:    inputs/strokes/NAME.npz and the command UpdateLabels ◀┤
          without a worker: the run's own labels, inputs/labels_0.zarr           ◀┘
"""
