"""The window: docks that start, follow and steer runs, predict and compare, and never compute.

::

    contributions               what napari finds: readers, writers, samples, menus
    training                    dock "Surface training"
    predict proofread run_table docks "Predict surfaces", "Proofread", "Runs"
    surface_tools               dock "Surface tools"
    live curves strokes         live layers, dock "Loss curves", painting
    run_session                 the run that a viewer follows
    layers                      layers as volumes
    controls background window  widgets, threads and processes, napari's main window

A folder imports only from the rows below its own. A dock's folder holds ``widget.py`` (what napari
makes), ``controller.py`` (what it does, without widgets), ``view.py`` (passive widgets, which the
controller knows as a protocol) and, where it adds layers, ``layers.py``. Whatever may take long
happens in a thread or a process. Nothing here imports torch.
"""
