"""Training: the loop, and what it works with.

::

    data.loader ─ batches ─> learner ── losses ─> optimizer ─> average
                               │  ▲                               │
               emit(events) <──┘  └── poll_commands()             ├─> validation ─> best.pt
                                                                  ├─> preview
                                                                  └─> last.pt

Here: one training from its configuration to its end. Not here: run folders and windows. The
trainer sends its events to ``emit``, takes its commands from ``poll_commands``, and writes
checkpoints and previews to the folders it is given.

::

    plan ──> run_data ──> assembly ──> loop          trainer calls these in this order
    (device,  (volumes)   (all parts)   ├─ reporting     events, and how often
     network)                           ├─ steering      what watchers asked for
                                        ├─ scoring       validation, threshold, best.pt
                                        └─ tuning        post-processing, at the end

Where several processes share each batch, the first of them does all of the above, and the others
compute gradients only::

    trainer ─> rank_processes   finds or starts them
    learner ─> lead ─ orders ─> follower ─> part ─> gradients
                 └─ weights, sums and gradients by ranks ─┘

``network_process`` answers the window, before a run, what a network is and needs.
"""
