"""The "Proofread" dock: a prediction is compared with labels, error by error.

Here: the dock, its table and its layers. Not here: finding the errors (``metrics``).
"""
