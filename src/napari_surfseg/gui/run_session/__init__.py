"""The run that a window looks at: followed from a thread, shared by its docks, let go at the end.

Here: the session, its feed, and which layers belong to a run. Not here: widgets.
"""
