"""From a prediction to a right one, place by place.

::

    probabilities ──find──► places (what looks wrong, without labels) ──► a list, marks, a CSV file
    mask, place ──mends──► edit (voxels before and after) ──► undone, recorded, learned from
                   └─ patches, cuts: where a hole is filled and a bridge cut

Arrays and plain arguments in, records out: nothing here knows a configuration, a window or torch.
"""
