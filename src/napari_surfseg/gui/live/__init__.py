"""Live layers: the newest prediction and its skeleton, in place over the volume.

Here: how previews become layers, and for which part of the volume the worker is asked next.
Not here: reading previews (``run_session/previews.py``) and making them (the worker)::

    session ── preview_loaded ──▶ controller ──▶ layers, style ──▶ viewer
       ▲                                                             │
       └──── SetPreview ◀── view_follower ◀── camera, slider ────────┘
"""
