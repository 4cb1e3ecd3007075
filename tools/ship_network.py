"""Put a trained network into the package: its float16 weights, and their checksum.

    python tools/ship_network.py best.pt surfaces-tiny

reads a checkpoint, or a safetensors file of weights, and writes the file that the entry of that
name in ``src/napari_surfseg/networks/registry.yaml`` names; the entry itself is written by hand
before. The weights are then read again, checked against the entry's ``model`` section, and
their checksum is put into the entry.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path

import torch

from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.shipped_network import build_shipped, load_shipped
from napari_surfseg.model.weights_file import read_tensors, save_weights_file
from napari_surfseg.networks import registry


def ship(source: Path, name: str) -> str:
    """Write the file of weights of an entry and its checksum; return that."""
    entry = registry.find_network(name)
    is_checkpoint = source.suffix == ".pt"
    weights = load_checkpoint(source).weights if is_checkpoint else read_tensors(source)[1]
    target = registry.FOLDER / entry.file
    # The whole description goes along, so that the file also serves where it is named by its path.
    save_weights_file(target, build_shipped(entry, weights), dtype=torch.float16)
    checksum = hashlib.sha256(target.read_bytes()).hexdigest()
    listing = registry.FOLDER / "registry.yaml"
    text = listing.read_text(encoding="utf-8")
    pattern = rf"(name: {re.escape(name)}\n(?:(?!- name:).*\n)*? +sha256: )\S*"
    changed, count = re.subn(pattern, rf"\g<1>{checksum}", text)
    if count != 1:
        raise SystemExit(f"{listing} has no line 'sha256:' in the entry of {name}.")
    listing.write_text(changed, encoding="utf-8")
    registry.forget()
    load_shipped(name)
    return checksum


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="best.pt, or a file of weights")
    parser.add_argument("name", help="of the entry in registry.yaml")
    options = parser.parse_args()
    print(f"{options.name}: sha256 {ship(options.source, options.name)}")


if __name__ == "__main__":
    main()
