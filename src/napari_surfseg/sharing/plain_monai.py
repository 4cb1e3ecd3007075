"""A network of MONAI built from plain numbers; see :mod:`~napari_surfseg.sharing.plain_network`.

Imported only where MONAI is installed.
"""

from __future__ import annotations

from typing import Any

from napari_surfseg.model.monai_network import (
    MonaiArchitecture,
    MonaiNetwork,
    build_monai_network,
)

__all__ = ["build_network"]


def build_network(**numbers: Any) -> MonaiNetwork:
    """Build the network; its weights are to be loaded.

    Parameters
    ----------
    **numbers
        Fields of :class:`MonaiArchitecture`.
    """
    return build_monai_network(MonaiArchitecture(**numbers))
