"""The window around the docks: where they go, what a person prefers, what is on the screen.

Here: nothing that knows about training. Not here: the docks themselves.
"""
