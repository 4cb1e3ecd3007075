"""Which part of the training volumes is kept for validation, and why.

Here: slabs, how alike they are, and the choice. Not here: scoring (``training/validation.py``).
"""
