"""Live layers: the newest prediction and its skeleton, in place over the volume.

Here: how previews become layers, and where the worker looks next. Not here: making previews.
"""
