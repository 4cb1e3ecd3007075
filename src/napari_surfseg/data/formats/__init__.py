"""The file formats, one file each, which make a :class:`~napari_surfseg.data.volume.Volume`.

::

    PATH or PATH::KEY ──┬── *.zarr, or a folder with zarr metadata ── zarr_format
                        ├── *.zip, *.ozx ──────────────────────────── zarr_format
                        ├── *.n5 ──────────────────────────────────── n5_format
                        ├── a folder of images ────────────────────── slices_format
                        ├── *.tif, *.tiff ─────────────────────────── tiff_format
                        ├── *.npy ─────────────────────────────────── npy_format
                        ├── *.mrc, *.rec, *.map, *.st ─────────────── mrc_format
                        ├── *.h5, *.hdf5, BigDataViewer's *.xml ───── hdf5_format
                        ├── *.nii, *.nii.gz ───────────────────────── nifti_format
                        └── *.nrrd, *.nhdr ────────────────────────── nrrd_format

What several of them share lies in ``axes`` (which stored axis is Z) and ``whole`` (files that can
only be read whole); ``NAME_metadata`` says what a format's headers mean.

A format is a function that takes a :class:`~napari_surfseg.data.source.Source` and gives a
volume without reading its voxels, in a file of its own, and one entry in ``registry.py``.
Nothing else names formats: :mod:`napari_surfseg.data.open` chooses by the registry, and only
the format of the volume that is opened is imported. Not here: writing, and anything about
labels or patches.
"""
