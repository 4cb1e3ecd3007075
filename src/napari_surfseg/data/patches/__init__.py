"""From checked pairs to batches of patches: which, cut how, changed how, and kept ready.

::

    PatchSampler ──▶ place_patch ──▶ read_padded ──▶ cut_pair ──▶ Batch ──▶ warp_batch
    which voxel      which box       through the     48 symmetries,         on the device:
    is the centre                    cache           grey values, noise     affine, bend

Here: ``sampling`` (which patches), ``augment`` (symmetries, grey values), ``sides`` (which
symmetries the labels allow), ``loader`` (threads that keep batches ready), ``warp`` (the one
file of ``data/`` that imports torch). A folder of its own because all of it works on patches;
what works on volumes lies one folder up. Not here: opening, checking and counting volumes.
"""
