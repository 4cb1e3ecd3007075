"""``report.md``: what a run did and how good it is, for somebody who was not there.

Here: one file a section, and the figures. Not here: training, or anything that changes a run.
"""
