"""What napari finds through the manifest besides the docks: readers, writers, samples, menus.

Here: one file a kind of contribution. Not here: widgets.
"""
