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
                      block_components                what belongs together across blocks
                      block_labels                    the same, numbered
    mask of any size --> medial_blocks, label_boxes   its middle; where labels lie

Everything takes arrays (``distance``: tensors) and plain arguments; only
``distance`` imports torch.
"""
