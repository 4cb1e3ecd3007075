"""Tools on surfaces: each one typed function, on arrays, files and layers.

::

    setting            what a parameter says of itself: meaning, limits, unit
    functions          the tools: arrays in, an array, a mesh or a table out
    mesh_functions     meshes: of a surface, of each sheet; sheets laid flat
    measure_functions  histograms over all sheets
    phantom_functions  a synthetic scroll
    results            tables, and folders of files
    membranes          membranes of whatever kind as probabilities
    cell_scores        cells against their truth, from counts of pairs
    block_work         what a tool gets that does a volume block by block
    block_functions    the same tools on volumes that are larger than memory
    registry           their table: title, what goes in, what comes out, how large ones are done
    volume_input       a volume as a tool takes it: masks cut, NaN refused, read by boxes
    label_output       labels of any size as a file
    files              a tool run on files; the command line and the process do this
    process            the same as a process of its own, for the window

The command line, the window's form and Python call the same function: limits, units and help of
a control or an option are those of the function's annotations. Nothing here imports torch.
"""
