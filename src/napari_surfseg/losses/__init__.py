"""Loss terms for thin surfaces, as plain functions of logits and labels.

::

    logits ──► prediction   masked logits, probabilities, one soft skeleton
                   │
    labels ──► combined.compute_loss_targets   once per patch, no gradient
                   │
               combined.FUNCTIONS              a function for each term of the vocabulary
                   ├─ voxel      weighted_bce, soft_dice
                   ├─ skeleton   cldice, morph_skeleton, skeleton_recall
                   ├─ surface    surface_distance
                   ├─ topology   toploss_simple
                   ▼
               combined.compute_combined_loss   the weighted sum, every term raw

Every term is non-negative, 0 at a perfect prediction, unchanged by anything inside
ignored voxels and computed in float32 whatever the network's precision. Terms
take tensors and numbers, never a configuration, so they work in a notebook::

    labels = torch.from_numpy(array)[None, None]        # 0, 1, 2 = ignored
    loss = cldice(logits, labels == 1, labels != 2)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
