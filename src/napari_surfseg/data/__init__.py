"""From files to batches of patches.

::

    files ──open_volume──▶ Volume ──open_pairs──▶ CheckedPair ──┐
     (formats/)            lazy,    checks, split, label census │
                           ZYX                                  ▼
      next(loader) ◀── PatchLoader ◀── augment ◀── PatchSampler + VolumeCache
      Batch, uint8     threads         48 symmetries,  where     decoded chunks
          │                            intensity
          ▼
      warp_batch (torch, on the device: affine, elastic)

======================  =====================================================
``volume``              the lazy, thread-safe view of anything on disk
``formats/``            one file a format: zarr, TIFF, slices, npy, mrc
``padding``             boxes that reach beyond the borders
``cache``               decoded chunks, least recently used, bounded in bytes
``labels``              what label values mean: 0 background, 1 surface, 2 ignore
``intensity``           grey values to uint8, and the mean and deviation of those
``targets``             a volume as the network sees it: uint8 image, 0/1/2 labels
``census``              how many surface and background voxels lie where
``checks``              pairs opened and checked before a run starts
``split``               the slabs that could be kept for validation
``keep_out``            what is kept: the slab most like the rest, or blocks of strokes
``likeness``            how alike the contents of two parts of a volume are
``density``             whether labels are dense or strokes
``reading_cost``        how many pieces of a volume can be looked at in reasonable time
``sides``               which flips and turns keep the two sides of the surface apart
``sampling``            which patches, in which order
``augment``             symmetries and grey-value changes of a patch
``kernels``             the compiled loops of census and augment
``loader``              threads that keep a few batches ready
``warp``                affine and elastic on the device (the one file with torch)
``phantom``             the synthetic scroll
======================  =====================================================

Only ``warp`` imports torch, and nothing else here imports ``warp``.
"""
