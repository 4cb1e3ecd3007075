"""From files to batches of patches.

::

    a path or URL
      │  open.py: open_volume          finds the format; formats/ holds one file each
      ▼
    Volume                             volume.py: read in boxes, lazily, from any thread
      │  checks.py: open_pairs         image and labels fit? labels.py: what values mean
      │                                census.py: where surface and background lie
      │                                validation/: which part is kept for scoring
      ▼
    CheckedPair                        checked_pair.py: what sampling and scoring work on
      │    .open_image    uint8        intensity.py: grey values as the network sees them
      │    .open_targets  0, 1, 2      targets.py: background, surface, not annotated
      ▼
    VolumeCache                        cache.py: decoded chunks, bounded in bytes
      │  patches/: PatchLoader         which patches, turned, grey values changed
      ▼
    Batch, uint8, on the CPU
      │  patches/warp.py: warp_batch   rotated, scaled and bent on the device
      ▼
    what a training step learns from

======================  =====================================================
``open``, ``source``    a path or URL becomes a volume; ``remote`` fetches files
``remote_files``        files below a URL, asked for again where they fail
``chunk_cache``         what came over the network, kept on disk within a bound
``block_counts``        the counts of a census, of blocks that hold something
``formats/``            one file a format, and their registry
``volume``              the lazy, thread-safe view of anything with voxels
``padding``             boxes that reach beyond the borders
``cache``               decoded chunks, least recently used, bounded in bytes
``labels``              what label values mean: 0 background, 1 surface, 2 ignore
``instances``           the boundaries between objects that have a value each
``intensity``           grey values to uint8, and the mean and deviation of those
``targets``             a volume as the network sees it: uint8 image, 0/1/2 labels
``stored_chunks``       which chunks of a volume are stored at all; ``holes`` of a mapped file
``census``              how many surface and background voxels lie where
``checked_pair``        an image and its labels that fit each other
``checks``              pairs opened and checked before a run starts
``reading_cost``        how many pieces of a volume can be read in reasonable time
``kernels``             the compiled loops of census and patches
``patches/``            sampling, symmetries, grey values, loader threads, warping
``validation/``         which part of the training volumes is kept for scoring
``strokes/``            sparse labels: painted while a run goes on, and pseudo-labels
``phantom/``            the synthetic scroll
======================  =====================================================

Here: everything between a file and a batch. Not here: losses, the network, writing
predictions. Only ``patches/warp`` imports torch, and nothing else here imports it.
"""
