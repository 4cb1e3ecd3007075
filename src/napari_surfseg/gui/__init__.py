"""The window: dock widgets that start, follow and steer runs, and never compute.

::

    napari viewer ──layers──▶ training / predict / runs / curves   (passive views)
                                   ▲            │
                                   │ set_*      │ intents
                                   │            ▼
                              controllers ── session ── feed (thread) ── run folder ── worker
                                                │
                                                └─▶ live layers, loss curves

Views hold no logic, controllers hold no widgets, and whatever may wait (reading
a run folder, writing layers, launching a process) happens in a thread. Nothing
here imports torch: a run lives in its folder, and the worker is another process.
"""
