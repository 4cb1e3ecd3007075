"""Train 3-D U-Nets that find thin surfaces in volumes, live in napari or from a script.

``import napari_surfseg as surfseg`` gives the functions of :mod:`napari_surfseg.api` and the
packages ``losses``, ``metrics`` and ``events``; each is imported when it is first used.
``__init__.pyi`` lists them.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
