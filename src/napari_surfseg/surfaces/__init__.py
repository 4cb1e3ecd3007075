"""Surfaces as geometry: distances, medial surfaces, cleaning, meshes.

::

    mask --> distance (truncated, exact)         what losses compare with
         --> medial   (a one-voxel surface)      what is shown as the skeleton
         --> cleaning (components, holes)        what a prediction is tidied with
         --> mesh     (triangles, PLY/OBJ/STL)   what is shown and exported
             mesh_normals, sheet_rim             how thick it is at each vertex, where it ends
             mesh_values, mesh_decimation        its colour; fewer triangles
             sheet_grid, tifxyz                  a sheet laid flat, as VC3D reads it
         --> measures (area, contacts, rims)     what a table says of each sheet

    probabilities --> postprocess_blocks --> mask     of any size, with the settings of postprocess
                      sheet_smoothing                 along the sheets, not across
                      local_topology, sheet_area      tears closed, pieces dropped by area
    mask --> sheet_heights                            where a torn sheet would go on
                      block_components                what belongs together across blocks
                      block_labels                    the same, numbered
    probabilities --> sheets --> a number for each sheet, also where sheets touch
                      sheet_fields, sheet_fragments, sheet_layers    how that is found out
    labels        --> winding --> turns of a roll, or layers of a stack, in their order
                      roll_axis                       where a roll's axis passes
    mask of any size --> medial_blocks, label_boxes   its middle; where labels lie

Everything takes arrays (``distance``: tensors) and plain arguments; only
``distance`` imports torch.
"""
