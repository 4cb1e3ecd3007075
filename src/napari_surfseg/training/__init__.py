"""The training loop and what it is made of.

::

    data.loader ─ batches ─> trainer ── losses ─> optimizer ─> average
                               │  ▲                               │
               emit(events) <──┘  └── poll_commands()             ├─> validation ─> best.pt
                                                                  ├─> preview
                                                                  └─> last.pt

The trainer knows nothing of run folders or windows: it tells through ``emit``,
is told through ``poll_commands``, and writes checkpoints and previews to the
folders it is given.
"""
