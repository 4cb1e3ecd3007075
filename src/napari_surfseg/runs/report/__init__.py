"""``report.md``: what a run did and how good it is, for a reader who did not follow it.

Here: the page, its sentences (``conclusions``), its longer sections and its pictures. Not here:
training, or anything that changes a run; reading a run's events is ``runs/history.py``.
"""
