"""The sections of ``scale.py``: each module measures one, with ``measure(quick, folder)``."""
