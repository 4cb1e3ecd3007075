"""Voxels folded into channels, and a convolution at full resolution that stays folded.

A folded network is cheap because no map of features lives at full resolution. What it unfolds at
its end has one set of weights for each of the 2x2x2 sub-voxels, though, and these never become
quite alike: the probabilities show the blocks as a checker board (Odena et al. 2016). Hence the
last layer is an ordinary 3x3x3 convolution over full-resolution voxels, the same for every
sub-voxel, that sees the image itself as well. It is computed in folded form, where it is an
ordinary convolution, too, with most of its weights zero: several times faster on a CPU, which is
slow at few channels.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from napari_surfseg.model.halved_convolution import convolve_halved

__all__ = ["FoldedConv3d", "fold_voxels", "unfold_voxels"]

#: Binomial weights along an axis: they carry nothing at the frequency of the checker board.
BINOMIAL = (0.25, 0.5, 0.25)
#: What the further maps count at first, of torch's usual first weights.
FURTHER_SHARE = 0.3


def fold_voxels(x: Tensor, factor: int) -> Tensor:
    """Move ``factor``^3 neighbouring voxels into channels.

    Parameters
    ----------
    x : Tensor
        (B, C, Z, Y, X) with edges divisible by ``factor``.
    factor : int
        Edge of the folded cube.

    Returns
    -------
    Tensor
        (B, C * factor**3, Z / factor, Y / factor, X / factor); channels ordered
        (C, dz, dy, dx).
    """
    if factor == 1:
        return x
    b, c, z, y, w = x.shape
    f = factor
    x = x.view(b, c, z // f, f, y // f, f, w // f, f)
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * f**3, z // f, y // f, w // f)


def unfold_voxels(x: Tensor, factor: int) -> Tensor:
    """Undo :func:`fold_voxels`: (B, C * factor**3, Z, Y, X) to factor times the edges."""
    if factor == 1:
        return x
    b, c, z, y, w = x.shape
    f = factor
    x = x.view(b, c // f**3, f, f, f, z, y, w)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, c // f**3, z * f, y * f, w * f)


class FoldedConv3d(nn.Module):
    """A 3x3x3 convolution to one channel at full resolution, of folded maps to folded values.

    Equal to ``fold_voxels(conv(unfold_voxels(x)))`` with padding 1. It starts as a binomial
    filter of the first map, which with sub-voxels that start alike is linear interpolation.

    Parameters
    ----------
    maps : int
        Full-resolution maps.
    factor : int
        Edge of the folded cube, 2 or more.
    """

    places: Tensor

    def __init__(self, maps: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.empty(1, maps, 3, 3, 3))
        self.bias = nn.Parameter(torch.zeros(1))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        # Products of plain numbers: of tensors without memory they would be a compiler's business,
        # which takes seconds to import.
        cube = [[[a * b * c for c in BINOMIAL] for b in BINOMIAL] for a in BINOMIAL]
        with torch.no_grad():
            self.weight.mul_(FURTHER_SHARE)
            self.weight[0, 0] = torch.tensor(cube)
        self.register_buffer("places", _find_places(factor), persistent=False)

    def forward(self, folded: Tensor) -> Tensor:
        """Map (B, maps * factor**3, Z, Y, X) to (B, factor**3, Z, Y, X)."""
        maps, cells = self.weight.shape[1], self.factor**3
        weight = self.weight.view(maps, 27)
        weight = torch.cat([weight, weight.new_zeros(maps, 1)], dim=1)
        spread = weight.index_select(1, self.places).view(maps, cells, cells, 3, 3, 3)
        kernel = spread.transpose(0, 1).reshape(cells, maps * cells, 3, 3, 3)
        return convolve_halved(folded, kernel, self.bias.expand(cells))


def _find_places(factor: int) -> Tensor:
    """Say for each weight of the folded kernel which of the 27 it is; 27 where it is zero.

    Returns
    -------
    Tensor of int
        Flat, ordered by the sub-voxel that is computed, the one that is read, and the folded
        neighbour this lies in.
    """
    cube = list(itertools.product(range(factor), repeat=3))
    neighbours = list(itertools.product((-1, 0, 1), repeat=3))
    places = []
    for written, read, neighbour in itertools.product(cube, cube, neighbours):
        offsets = [factor * n + r - w for n, r, w in zip(neighbour, read, written, strict=True)]
        z, y, x = (offset + 1 for offset in offsets)
        is_near = all(abs(offset) <= 1 for offset in offsets)
        places.append(9 * z + 3 * y + x if is_near else 27)
    return torch.tensor(places)
