"""The "Runs" dock: the runs of a folder, how far and how good they are.

Here: listing, attaching, resuming, comparing. Not here: reading a run folder (``runs``).
"""
