"""What is known beforehand of MONAI's networks: defaults, heads, learning rates.

Nothing here imports torch or MONAI. What can be asked of a network itself (which arguments it
takes, by what its patches must be divisible, how large it is) is asked of it, by
:mod:`~napari_surfseg.model.monai_network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["MONAI_TABLE", "OWN_ARGUMENTS", "MonaiEntry"]

#: Arguments that the program sets itself, by what it sets them.
OWN_ARGUMENTS: dict[str, str] = {
    "deep_supervision": "model.deep_supervision",
    "img_size": "data.patch_size",
    "in_channels": "the image, which has one channel",
    "out_channels": "the surface, which is one channel",
    "spatial_dims": "volumes, which have three dimensions",
}


@dataclass(frozen=True)
class MonaiEntry:
    """What is known of one network.

    Attributes
    ----------
    arguments : dict
        Where MONAI has no default, or one that suits another purpose.
    supervised : dict
        Arguments that make it return coarser outputs, too, while it is trained; empty where it
        cannot.
    withheld : tuple of str
        Arguments that are left at MONAI's default: code, downloads, and what only costs memory.
    divisor : int, optional
        By what edges must be divisible, where the network pads what does not fit, or is made
        for one size of patch.
    has_fixed_size : bool
        It takes patches of one size only, the training's.
    max_learning_rate : float
        Peak of the one-cycle schedule.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    supervised: dict[str, Any] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    divisor: int | None = None
    has_fixed_size: bool = False
    max_learning_rate: float = 1e-3


FIVE_STAGES = {"channels": (32, 64, 128, 256, 320)}
INSTANCE_NORM = ("instance", {"affine": True})

#: By the names of the classes. Convolutions take the rate of our own networks of that size;
#: attention is trained with less (Hatamizadeh et al. 2022).
MONAI_TABLE: dict[str, MonaiEntry] = {
    "AttentionUnet": MonaiEntry(arguments=FIVE_STAGES),
    "BasicUNet": MonaiEntry(divisor=16),
    "BasicUNetPlusPlus": MonaiEntry(divisor=16),
    "DynUNet": MonaiEntry(
        arguments={
            "strides": (1, 2, 2, 2, 2),
        },
        supervised={"deep_supervision": True},
    ),
    "FlexibleUNet": MonaiEntry(arguments={"backbone": "resnet18"}, withheld=("pretrained",)),
    "MedNeXt": MonaiEntry(supervised={"deep_supervision": True}),
    "SegResNet": MonaiEntry(),
    "SegResNetDS": MonaiEntry(
        # Its own default, batch normalisation, suits no batch of one patch.
        arguments={"norm": INSTANCE_NORM},
        supervised={"dsdepth": 3},
        withheld=("preprocess",),
    ),
    "SwinUNETR": MonaiEntry(withheld=("norm_layer",), max_learning_rate=4e-4),
    "UNETR": MonaiEntry(
        withheld=("save_attn",), divisor=16, has_fixed_size=True, max_learning_rate=4e-4
    ),
    "UNet": MonaiEntry(arguments={**FIVE_STAGES, "num_res_units": 2}),
    "VNet": MonaiEntry(),
}
