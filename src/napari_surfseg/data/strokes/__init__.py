"""Sparse labels: strokes painted while a run goes on, and targets that fill in between them.

::

    inputs/strokes/NAME.npz ─▶ stroke_files ─▶ stroke_counts ─▶ the run's labels, PatchLoader
                               read, check     census of what     (training/stroke_updates)
                                               was painted on
    annotated voxels ─▶ annotation ─▶ filters ─▶ pixel_classifier ─▶ filled_targets
                        as points     responses  a forest            pseudo-labels

``density`` says whether labels are strokes or dense. Not here: the window's half, which finds
what was painted (``gui/strokes``), and when a run takes it over (``training``).
"""
