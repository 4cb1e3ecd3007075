"""Sparse annotation: strokes on their way into labels, and targets that fill in what lies between.

Here: annotation as points, the pixel classifier, filled targets. Not here: dense labels.
"""
