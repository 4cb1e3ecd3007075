"""What is known of the networks that come with the package; imports no torch, loads no weights."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_surfseg.errors import CheckpointError
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3

__all__ = [
    "AUTO",
    "FRESH",
    "ShippedNetwork",
    "find_network",
    "find_start_network",
    "forget",
    "is_network_name",
    "list_networks",
    "locate_weights",
]

#: Where the registry and the weights that are in the package lie.
FOLDER = Path(__file__).parent

#: Values of ``model.start_from`` that are neither a name nor a path: the network of the package
#: that fits, and fresh weights.
AUTO, FRESH = "auto", "none"


@dataclass(frozen=True)
class ShippedNetwork:
    """A network that can be named instead of a checkpoint.

    Attributes
    ----------
    name, title, description : str
        What it is called, in a line, and in a paragraph.
    finds : tuple of str
        Kinds of surfaces, such as ``membranes``.
    thickness : (float, float)
        Of the surfaces it was trained on, in voxels.
    anisotropy : float
        Longest edge of a voxel by the shortest, up to which it was trained.
    licence, attribution : str
        Of the weights, and of the data they were trained on.
    file : str
        Name of the file of weights.
    sha256 : str
        Of that file.
    model : dict
        The ``model`` section that builds it.
    patch_size : tuple of int
        Z, Y, X voxels it was trained on at a time.
    threshold : float
        Probability above which a voxel is surface.
    postprocess : dict, optional
        Clean-up that suits it.
    url : str, optional
        Where the file is fetched from; None where it is in the package.
    """

    name: str
    title: str
    description: str
    finds: tuple[str, ...]
    thickness: tuple[float, float]
    anisotropy: float
    licence: str
    attribution: str
    file: str
    sha256: str
    model: dict[str, Any]
    patch_size: Size3 = (64, 64, 64)
    threshold: float = 0.5
    postprocess: dict[str, Any] | None = field(default=None)
    url: str | None = None

    @property
    def is_at_hand(self) -> bool:
        """Whether its weights are here: in the package, or fetched before."""
        return self.url is None or _cached(self).is_file()

    @property
    def heading(self) -> str:
        """Its name, whether it is here, and what it finds: for a list to choose from."""
        came = "shipped" if self.is_at_hand else "fetched once"
        return f"{self.name} ({came}: {', '.join(self.finds)})"

    @property
    def limits(self) -> str:
        """What it was trained on, in words."""
        low, high = self.thickness
        return (
            f"surfaces {low:g} to {high:g} voxels thick, voxels up to {self.anisotropy:g} times "
            "as long as wide"
        )


def list_networks() -> tuple[ShippedNetwork, ...]:
    """List the networks that can be named, the default first."""
    return _read_registry(FOLDER / "registry.yaml")


def forget() -> None:
    """Read the registry again when it is next asked for: its file was changed."""
    _read_registry.cache_clear()


def find_network(name: str | None = None) -> ShippedNetwork:
    """Find a network by its name; without one, the default.

    Raises
    ------
    CheckpointError
        If there is none of that name.
    """
    known = list_networks()
    for network in known:
        if name in (network.name, None):
            return network
    if not known:
        raise CheckpointError("No network comes with this installation; name a checkpoint.")
    names = list_words([network.name for network in known], "or")
    raise CheckpointError(f"There is no network {name!r} in this package; there is {names}.")


def is_network_name(value: object) -> bool:
    """Whether a text is the name of a network; a file of that name is written ``./NAME``."""
    return isinstance(value, str) and any(value == network.name for network in list_networks())


def find_start_network(preset: str) -> ShippedNetwork | None:
    """Find the network that a new one of a preset starts from by default; None where there is none.

    One that would have to be fetched first is not taken: nothing is fetched without being named.
    """
    return next(
        (
            network
            for network in list_networks()
            if network.model.get("preset") == preset and network.is_at_hand
        ),
        None,
    )


def locate_weights(network: ShippedNetwork) -> Path:
    """Give the file of a network's weights; fetch it where it is not in the package.

    Raises
    ------
    CheckpointError
        If it is missing, not the one that was shipped, or cannot be fetched.
    """
    if network.url is None:
        path = FOLDER / network.file
        if not path.is_file():
            raise CheckpointError(
                f"The weights of {network.name} are missing: there is no {path}; install "
                "napari-surfseg again."
            )
        remedy = "install napari-surfseg again"
    else:
        path = _cached(network)
        if not path.is_file():
            return _fetch(network, path)
        remedy = "remove that file, and it is fetched again"
    if _hash(path) != network.sha256:
        raise CheckpointError(
            f"{path} is damaged: it is not the file of {network.name} that was published; {remedy}."
        )
    return path


def _fetch(network: ShippedNetwork, path: Path) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    try:
        pooch.retrieve(
            network.url,
            known_hash=f"sha256:{network.sha256}",
            fname=path.name,
            path=path.parent,
        )
    except ValueError:
        raise CheckpointError(
            f"What lies at {network.url} is not the file of {network.name} that was published; "
            "nothing was kept."
        ) from None
    except Exception as error:  # noqa: BLE001 - each way of fetching has errors of its own
        raise CheckpointError(
            f"The weights of {network.name} could not be fetched from {network.url} "
            f"({type(error).__name__}); fetch that file elsewhere and put it at {path}."
        ) from None
    return path


def _cached(network: ShippedNetwork) -> Path:
    import platformdirs

    return platformdirs.user_cache_path("napari-surfseg", appauthor=False) / network.file


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None


@lru_cache(maxsize=4)
def _read_registry(path: Path) -> tuple[ShippedNetwork, ...]:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(_build(entry) for entry in values["networks"])


def _build(entry: dict[str, Any]) -> ShippedNetwork:
    """Make an entry of its values; lists become tuples, so that it cannot be changed."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    return ShippedNetwork(**values)
