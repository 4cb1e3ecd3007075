"""A training run is a folder, and the folder is the protocol.

::

    who starts it                    RUN/                         who follows it
    ─────────────                    ────                         ──────────────
    cli, window ── config.yaml ───▶ ┌──────────────┐
         │                          │ events.jsonl │ ──────────▶ follow, listing, report
         └─ launch ──▶ worker ────▶ │ worker.json  │
                         ▲          │ checkpoints/ │
                         │          │ previews/    │
                         └───────── │ commands.jsonl ◀───────── window, scripts
                                    └──────────────┘

``folder`` names the files, ``lock`` keeps it to one worker a run, ``launch``
starts a worker that outlives its parent, ``worker`` is what then runs, ``log``
turns its events into lines a person reads, ``environment`` writes down what it
ran on, ``follow`` watches it from anywhere that sees the folder, ``listing``
makes a table of many, and ``report`` with ``report_figures`` tells the story at
the end. Nothing here imports torch: the trainer is fetched by the worker alone.
"""
