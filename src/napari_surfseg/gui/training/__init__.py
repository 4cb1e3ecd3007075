"""The "Surface training" dock: what to learn from, with which settings, and what Start does.

Here: the pages, the run panel, and their controllers. Not here: painting, which is in ``strokes``.
"""
