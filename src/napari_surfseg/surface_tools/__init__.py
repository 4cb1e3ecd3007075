"""Tools on surfaces: each one typed function, on arrays, files and layers.

::

    setting     what a parameter says of itself: meaning, limits, unit
    functions   the tools: arrays in, an array, a mesh or a table out
    registry    their table: title, what goes in, what comes out
    files       a tool run on files; the command line and the process do this
    process     the same as a process of its own, for the window

The command line, the window's form and Python call the same function: limits, units and help of
a control or an option are those of the function's annotations. Nothing here imports torch.
"""
