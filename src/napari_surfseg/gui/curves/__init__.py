"""The "Loss curves" dock: losses and scores of a run, drawn as napari layers.

Here: series, plot, legend, switches, and the dock. Not here: titles and colours of the terms.
"""
