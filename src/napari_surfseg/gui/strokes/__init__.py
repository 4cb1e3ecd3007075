"""Painting: the layer and brush for strokes, and their way to the run.

Here: what is painted, found and sent. Not here: what a run learns from it (``data/strokes``).
"""
