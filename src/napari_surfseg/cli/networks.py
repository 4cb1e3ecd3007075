"""``surfseg networks``: the networks that can be named instead of a checkpoint."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import say
from napari_surfseg.cli.options import add_command

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.networks.registry import ShippedNetwork

__all__ = ["add"]

DESCRIPTION = """\
List the networks that come with the package: what they find, what they were trained on,
their licences. Each can be predicted with and started from by its name. With --fetch, fetch
the weights of one that is not in the package, for use without a connection.
"""

EXAMPLES = """\
examples:
  surfseg predict scan.tif --network surfaces-tiny --output surfaces.tif
  surfseg train config.yaml --set model.start_from=surfaces-tiny
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "networks",
        run,
        summary="list the networks that come with the package",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument("--fetch", metavar="NAME", help="fetch the weights of this one")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.networks.registry import find_network, list_networks, locate_weights

    if options.fetch is not None:
        say(f"{options.fetch}: {locate_weights(find_network(options.fetch))}")
        return 0
    found = list_networks()
    if not found:
        say("No network comes with this installation.")
    for network in found:
        say(_describe(network))
    return 0


def _describe(network: ShippedNetwork) -> str:
    where = "in the package" if network.url is None else f"from {network.url}"
    if network.url is not None and network.is_at_hand:
        where += ", fetched"
    rows = {
        "finds": ", ".join(network.finds),
        "trained on": network.limits,
        "model": ", ".join(f"{key} {value}" for key, value in network.model.items()),
        "licence": network.licence,
        "data": network.attribution,
        "weights": where,
        "sha256": network.sha256,
    }
    lines = [f"{network.name}: {network.title}"]
    lines += textwrap.wrap(network.description, 96, initial_indent="  ", subsequent_indent="  ")
    for key, value in rows.items():
        lines += textwrap.wrap(
            f"{key:<11}{value}", 96, initial_indent="  ", subsequent_indent=" " * 13
        )
    return "\n".join(lines)
