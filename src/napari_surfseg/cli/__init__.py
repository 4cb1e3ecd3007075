"""The command line: one file a command, and what they share. No training, no scoring, no window.

::

    main       reads the arguments, runs a command, turns any error into one sentence
    commands   the list of commands
    options    arguments that several commands share, and UsageError
    console    a progress bar on a terminal, plain lines anywhere else

    train      a configuration, a preset or a run folder  ->  a run folder
    predict    a volume and a checkpoint                  ->  surfaces
    evaluate   a prediction and labels                    ->  scores
    report     a run folder                               ->  report.md
    runs       a folder of runs                           ->  a table
    phantom    nothing                                    ->  the synthetic scroll
    demo       all of these in turn, on the synthetic scroll

    standby    internal: the process that a window keeps ready (runs/standby.py)

A command imports what it needs when it runs, so ``surfseg --help`` answers at
once and an error in the arguments is reported before torch is loaded.
"""
