"""The run folder as the protocol between a run's worker and all who start or watch it.

Here: the folder's files and all that a window, a command line or a script does with them; what
runs only in the worker lies in ``worker/``, the report in ``report/``. Not here: torch, Qt.

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

    folder              names the files
    lock                keeps it to one worker a run, with a heartbeat
    launchers/          hand a run to another machine: ssh, SLURM, …
    launch_record       the job it has there, and paths between the machines
    launch              starts a worker that outlives its parent
    standby             keeps a process ready, so that a start takes no time
    follow              watches a run from anywhere that sees the folder
    listing             the runs of a folder, as a table
    history             all events of a run in order, for curves and the report
    event_text          events as lines for people
    checkpoints         which checkpoint a path means, and what is doubtful about it
    checkpoint_summary  what a checkpoint is, without opening it
    train_longer        a later end for a run that has ended

Nothing here imports torch: only the worker loads the trainer.
"""
