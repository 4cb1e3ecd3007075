"""Slow work in threads and processes that report back to the window's thread.

Here: how work is started, followed, cancelled and reported. Not here: what the work is, widgets.
"""
