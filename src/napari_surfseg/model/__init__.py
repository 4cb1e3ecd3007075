"""The networks: 3-D U-Nets built from MONAI's parts, their presets and their checkpoints.

::

    config.Model ──> presets.resolve_architecture ──> network.build_unet ──> SurfaceUNet
                                                            │
    checkpoint.Checkpoint <── weights, intensity, threshold ┘   (one .pt file, never unpickled)

:mod:`~napari_surfseg.model.presets` imports no torch, so a window can show sizes,
parameter counts and a memory estimate before anything starts.
"""
