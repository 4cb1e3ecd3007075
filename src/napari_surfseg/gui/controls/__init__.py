"""Controls that several docks use: boxes, choosers, typed numbers, and how Tab walks them.

Here: widgets without knowledge of runs, workers or the session. Not here: what a choice leads to.
"""
