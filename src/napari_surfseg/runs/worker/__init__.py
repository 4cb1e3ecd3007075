"""What runs in the worker: the process that holds a run folder, trains and reports.

Here: the process, its commands, failures and log. Not here: anything a window or script needs.
"""
