"""Networks written for other programs, each checked with the program that will read it.

::

    checkpoint ──> facts ──> monai_bundle       a folder for ``python -m monai.bundle run``
                       ├──> bioimageio_package  a zip for bioimage.io, Fiji, ilastik, ...
                       └──> onnx_file           one file for ONNX runtimes

- ``settings``           what is written and under which licence
- ``facts``              what a model card says of a network, as sentences and numbers
- ``plain_source``       our classes as one source file that needs nothing of this package
- ``bundle_scripts``     what a bundle runs besides MONAI's own classes: windows laid as ours
- ``export``             the one entry: a run or checkpoint to a file or folder
- ``export_process``     the same as a process of its own, for the window

Here: writing. Not here: reading what was written (``model.open_network``).
"""
