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

``folder``       names the files
``lock``         keeps it to one worker a run, with a heartbeat
``launch``       starts a worker that outlives its parent
``worker``       is what then runs, with ``commands``, ``interrupt`` (Ctrl-C) and
                 ``failures`` (what went wrong, as a sentence)
``environment``  writes down what it ran on, ``phantom`` makes its data if it has none
``log``          turns events into lines a person reads, ``text`` numbers into words
``follow``       watches a run from anywhere that sees the folder, ``listing`` many
``report``       tells the story: ``history`` puts the events in order, ``findings``
                 says what they mean, ``report_figures`` and ``samples`` show it

Nothing here imports torch: the trainer is fetched by the worker alone.
"""
