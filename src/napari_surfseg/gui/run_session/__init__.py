"""The run that a window follows: read in a thread, shared by its docks, closed with the window.

Here: the session, its feed, and which layers belong to a run. Not here: widgets; the docks that
show a run import this folder, and it imports none of them::

    run folder ── events, previews ──▶ feed (a thread) ──▶ session ──▶ signals for every dock
        ▲                                                    │
        └──────────── commands.jsonl ◀── send ◀──────────────┘
"""
