"""A network of nnU-Net built from plain numbers; see :mod:`~napari_surfseg.sharing.plain_network`.

Where it runs, ``dynamic-network-architectures`` must be installed.
"""

from __future__ import annotations

from typing import Any

from napari_surfseg.model.nnunet_network import (
    NnunetArchitecture,
    NnunetNetwork,
    build_nnunet_network,
)

__all__ = ["build_network"]


def build_network(**numbers: Any) -> NnunetNetwork:
    """Build the network; its weights are to be loaded.

    Parameters
    ----------
    **numbers
        Fields of :class:`NnunetArchitecture`.
    """
    return build_nnunet_network(NnunetArchitecture(**numbers))
