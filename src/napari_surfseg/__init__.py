"""Train 3-D U-Nets that find thin surfaces in volumes, live in napari or from the command line."""

__version__ = "0.1.0"
