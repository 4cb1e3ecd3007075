"""The networks: residual 3-D U-Nets in plain torch, their presets and their checkpoints.

::

    config.Model ──> presets.resolve_architecture ──> network.build_unet ──> SurfaceUNet
                                                            │
    checkpoint.Checkpoint <── weights, intensity, threshold ┘   (one .pt file, never unpickled)

Here: what a network is and what a checkpoint holds. Not here: training, windows and volumes.
:mod:`~napari_surfseg.model.presets` imports no torch, so a window can show sizes, parameter
counts and a memory estimate before anything starts. The tests compare the blocks with MONAI's,
which is not needed to use them.
"""
