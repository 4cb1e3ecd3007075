"""The dock "Surface tools": a tool, what it works on, its settings and its result as a layer.

::

    form          the settings of a tool as magicgui's widgets, from the function's annotations
    result_table  rows and their units
    view          the widgets of the dock
    running       a tool run in a process of its own, on layers or files
    controller    joins the view, the viewer and the process; no widgets
    widget        the dock, as napari makes it
"""
