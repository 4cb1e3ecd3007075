"""The command line: ``surfseg train | predict | evaluate | report | runs | phantom | demo``.

::

    main       parses, runs a command, turns whatever goes wrong into one sentence
    console    a progress bar on a terminal, plain lines anywhere else
    train      a configuration, a preset or a run folder  ->  a run folder
    predict    a volume and a checkpoint                  ->  surfaces
    evaluate   a prediction and labels                    ->  scores
    overview   report, runs
    phantom    the synthetic scroll
    demo       all of it in turn

A command imports what it needs when it runs, so ``surfseg --help`` answers at
once and a fault in the arguments is told before torch is loaded.
"""

from napari_surfseg.cli.main import main

__all__ = ["main"]
