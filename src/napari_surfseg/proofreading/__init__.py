"""From a prediction to a right one, place by place.

::

    probabilities ──find──► places (what looks wrong, without labels) ──► a list, marks, a CSV file

Arrays and plain arguments in, records out: nothing here knows a configuration, a window or torch.
"""
