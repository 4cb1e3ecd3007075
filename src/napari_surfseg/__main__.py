"""``python -m napari_surfseg`` is ``surfseg``; runs launch their worker this way."""

import sys

from napari_surfseg.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
