"""A synthetic rolled scroll that looks like micro-CT of a carbonised one.

::

    settings ──▶ spiral ─────────▶ material ─────────▶ scroll ────▶ storage
    PhantomSettings  winding number,   grey of papyrus,    ScrollPhantom   write_phantom:
                     pitch, spiral     fibres, grains      .compute_box    three OME-Zarr
                        ▲                  ▲               blur, noise,
                        └──── noise ───────┘               labels, mask
                     hashes of global coordinates

Everything random is a hash of the voxel's place in the whole volume, never of
the order of computing, so any box comes out the same alone or as part of more.
"""
