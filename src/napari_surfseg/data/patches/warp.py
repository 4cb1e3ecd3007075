"""Rotation, scaling, shear and bending of a batch, on the device that trains.

The one file of ``data/`` that imports torch. The 48 symmetries and grey values are cheaper
in the loader; resampling is cheaper on a GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_surfseg.data.labels import IGNORE

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["warp_batch"]

#: Greatest turn, in radians: quarter turns are among the loader's symmetries, and
#: a larger one leaves more of the patch outside, where nothing can be learned.
MAX_ANGLE = 0.5
#: Greatest change of size, overall and of one axis against another, as a factor.
MAX_SCALE = 1.2
MAX_STRETCH = 1.06
#: Greatest shear, as a slope.
MAX_SHEAR = 0.08
#: Voxels between the places that are moved when a patch is bent.
BEND_VOXELS = 20
#: Greatest deviation of their moves, as a share of that distance: neighbouring
#: places then all but never cross, so that the patch is bent but not folded.
MAX_BEND = 0.1


@torch.no_grad()
def warp_batch(
    image: Tensor,
    labels: Tensor,
    *,
    affine: float,
    elastic: float,
    generator: torch.Generator | None = None,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    part: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Turn, scale, shear and bend some samples of a batch about their centres.

    Parameters
    ----------
    image : torch.Tensor
        Shape (B, 1, Z, Y, X), floating point. Trilinear; mirrored beyond its edges.
    labels : torch.Tensor
        Shape (B, 1, Z, Y, X), uint8: 0 background, 1 surface, 2 ignore. The
        nearest voxel's; ignored where that lies outside the patch.
    affine, elastic : float
        Probabilities that a sample is turned, scaled and sheared, and that it
        is bent; drawn for each sample on its own.
    generator : torch.Generator, optional
        Source of chance; its device may differ from the batch's.
    spacing : tuple of float
        Z, Y, X voxel size: a turn is one in space, not in voxels. The less two
        axes resemble each other, the less the patch is turned from one into
        the other.
    part : (int, int), optional
        The first of the given samples in a larger batch, and the samples of that one: they are
        warped as they would be within it.

    Returns
    -------
    image, labels : torch.Tensor
        Of the given shapes and types; the given tensors themselves if no
        sample was drawn.
    """
    if image.shape != labels.shape or image.ndim != 5:
        raise ValueError(
            f"image and labels must have one shape (B, 1, Z, Y, X), not {tuple(image.shape)} "
            f"and {tuple(labels.shape)}"
        )
    device = generator.device if generator is not None else torch.device("cpu")
    first, num_samples = part or (0, len(image))
    chances = torch.rand(num_samples, 2, generator=generator, device=device)
    turned, bent = (chances < torch.tensor([affine, elastic], device=device)).cpu().unbind(1)
    warped_ones = turned | bent
    chosen = warped_ones[first : first + len(image)].nonzero().flatten()
    if not len(chosen):
        return image, labels
    shape = (int(image.shape[2]), int(image.shape[3]), int(image.shape[4]))
    # Half the patch along X, Y, Z in physical units: grid_sample counts in halves, X first.
    half = [size / 2 * step for size, step in zip(shape, spacing, strict=True)][::-1]
    grids = []
    for sample in warped_ones.nonzero().flatten().tolist():
        # Drawn for all samples of the batch in turn, whichever of them are given.
        matrix = (
            _draw_matrix(generator, device, spacing) if turned[sample] else torch.eye(3)
        ).double()
        moves = _draw_moves(generator, device, shape, spacing) if bent[sample] else None
        if not first <= sample < first + len(image):
            continue
        scale = torch.tensor(half, dtype=torch.float64)
        theta = torch.zeros(1, 3, 4)
        theta[0, :, :3] = matrix * scale[None, :] / scale[:, None]
        grid = functional.affine_grid(theta.to(image.device), [1, 1, *shape], align_corners=False)
        if moves is not None:
            moves = moves / torch.tensor(half)
            field = functional.interpolate(
                moves.permute(3, 0, 1, 2)[None].to(image.device),
                size=shape,
                mode="trilinear",
                align_corners=True,
            )
            grid = grid + field.permute(0, 2, 3, 4, 1)
        grids.append(grid)
    grid = torch.cat(grids)
    index = chosen.to(image.device)
    with torch.autocast(image.device.type, enabled=False):
        # Mirrored at the faces, 1 and -1, by hand: grid_sample's own reflection takes longer
        # than all the rest.
        folded = 2 * grid.clamp(-1, 1) - grid
        warped = functional.grid_sample(
            image[index].float(), folded, padding_mode="border", align_corners=False
        )
        # Labels are raised by one, so that the zero found outside is not background.
        nearest = functional.grid_sample(
            labels[index].float() + 1,
            grid,
            mode="nearest",
            padding_mode="zeros",
            align_corners=False,
        )
    found = nearest.to(labels.dtype)
    image, labels = image.clone(), labels.clone()
    image[index] = warped.to(image.dtype)
    labels[index] = torch.where(found == 0, IGNORE, found - 1).to(labels.dtype)
    return image, labels


def _uniform(generator: torch.Generator | None, device: torch.device, *shape: int) -> Tensor:
    """Numbers between -1 and 1, on the CPU."""
    return (torch.rand(*shape, generator=generator, device=device) * 2 - 1).cpu()


def _draw_matrix(
    generator: torch.Generator | None, device: torch.device, spacing: Spacing3
) -> Tensor:
    """Matrix in physical space, axes X, Y, Z, from the result to where it is taken."""
    x, y, z = spacing[::-1]
    # A turn about an axis mixes the other two.
    alike = torch.tensor([min(a, b) / max(a, b) for a, b in ((y, z), (z, x), (x, y))])
    direction = torch.randn(3, generator=generator, device=device).cpu()
    angle = _uniform(generator, device, 1) * MAX_ANGLE
    turn = direction / direction.norm().clamp_min(1e-6) * angle * alike
    rotation = torch.linalg.matrix_exp(
        torch.tensor([[0.0, -turn[2], turn[1]], [turn[2], 0.0, -turn[0]], [-turn[1], turn[0], 0.0]])
    )
    size = MAX_SCALE ** _uniform(generator, device, 1) * MAX_STRETCH ** _uniform(
        generator, device, 3
    )
    shear = torch.eye(3)
    above = torch.triu_indices(3, 3, offset=1)
    shear[above[0], above[1]] = _uniform(generator, device, 3) * MAX_SHEAR * alike.flip(0)
    matrix: Tensor = rotation @ torch.diag(size) @ shear
    return matrix


def _draw_moves(
    generator: torch.Generator | None,
    device: torch.device,
    shape: Size3,
    spacing: Spacing3,
) -> Tensor:
    """Draw the moves of a coarse grid of places, shape (z, y, x, 3), in physical units, X first."""
    distance = BEND_VOXELS * min(spacing)
    # One place more at either end than fits, and never fewer than four in all.
    places = [
        max(4, round(size * step / distance) + 2) for size, step in zip(shape, spacing, strict=True)
    ]
    strength = float(torch.rand(1, generator=generator, device=device)) * MAX_BEND * distance
    return torch.randn(*places, 3, generator=generator, device=device).cpu() * strength
