"""The "Loss curves" dock: losses and scores of a run, drawn as napari layers.

::

    events ──► series ──► panel ──► plot_canvas   lines as pictures (plot_line, raster),
    (session)              │ │      and plot_axes  in the range that plot_range chooses
                           │ └────► controls      switches above the plot
                           └──────► legend        which curves are shown, and their values

``widget`` is the dock, ``controller`` joins it with the session, ``viewer_layers`` adds the plot to
the main viewer. Not here: titles, colours and order of the curves, which are in ``vocabulary.py``.
"""
