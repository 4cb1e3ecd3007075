"""Where a run is trained: on this computer, or by a launcher on another machine.

Here: what a launcher is, finding those of a person, handing a run over to one, asking after its
job. Not here: what the worker does, which is the same everywhere.

::

    slurm.yaml ──library──▶ Launcher ──job.submit──▶ sbatch … ──▶ surfseg train --launched
                               │                        │
                               │                     4711 ──▶ RUN/launch.json
                               └─job.ask, job.cancel ◀──────────┘

    schema      what a launcher's file holds
    template    fills in places such as {run:sh}
    library     the files there are, and why one is not valid
    commands    runs a command, with a bound in time
    job         submits, asks, cancels
    watch       asks now and then, from a thread
    examples/   one file a system, to be copied and adapted

The paths of the two machines and the record of the job are in
:mod:`napari_surfseg.runs.launch_record`, below the run folder.
"""
