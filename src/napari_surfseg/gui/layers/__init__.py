"""Layers of a viewer as volumes: held by identity, found on disk, read, counted and copied.

Here: everything between a napari layer and an array or file. Not here: widgets, runs.

From a layer to a file that the worker reads::

    layer ── take_layer ──▶ LayerVolume, a snapshot that threads may read
             (layer_volume;     │
             label_regions for  ├─▶ locate ──▶ the file it was opened from, if it holds the same
             a part of one)     │      (stored_arrays: the zarr or npy behind the layer's data)
                                ├─▶ copies ──▶ otherwise a copy, inputs/NAME.zarr
                                └─▶ label_counts: how often each value occurs
                                       (boxes: what is read at a time, without empty chunks)

From a file to a layer, and beside other layers::

    file ── layer_data ──▶ layer, with placement, colormaps and metadata

``chosen_volume`` takes the volume that a person chose, ``layer_adder`` adds new layers one by one,
``layer_watch`` follows the layers of a viewer, ``camera`` says which of their voxels are in view.
"""
