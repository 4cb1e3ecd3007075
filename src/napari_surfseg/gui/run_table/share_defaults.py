"""Who shares networks and under which licence: kept for the next time, in a file of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import yaml

from napari_surfseg.gui.window.preferences import find_preferences_file
from napari_surfseg.sharing.settings import ShareSettings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["keep_share_settings", "read_share_settings"]


def find_file() -> Path:
    """Return where they lie on this platform."""
    return find_preferences_file().with_name("share.yaml")


def read_share_settings() -> ShareSettings:
    """Read what was kept; what cannot be read is as if it had never been kept."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
        kept = yaml.safe_load(find_file().read_text(encoding="utf-8"))
        authors = tuple(str(author) for author in kept.get("authors", ()))
        return ShareSettings(
            authors=authors, licence=str(kept.get("licence", ShareSettings.licence))
        )
    return ShareSettings()


def keep_share_settings(settings: ShareSettings) -> None:
    """Keep authors and licence, unless they are kept already; where no file can be, do nothing."""
    known = read_share_settings()
    if (known.authors, known.licence) == (settings.authors, settings.licence):
        return
    kept = {"authors": list(settings.authors), "licence": settings.licence}
    with contextlib.suppress(OSError):
        find_file().parent.mkdir(parents=True, exist_ok=True)
        find_file().write_text(yaml.safe_dump(kept, allow_unicode=True), encoding="utf-8")
