"""Layers of a viewer as volumes: held by identity, found on disk, read, counted and copied.

Here: everything between a napari layer and an array or file. Not here: widgets, runs.
"""
