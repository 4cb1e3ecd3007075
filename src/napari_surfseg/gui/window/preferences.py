"""What a person sets once: in napari's Preferences, or in a file where napari has no place for it.

The names and defaults are also in ``napari.yaml``, from which napari makes the page of its
Preferences; older napari does not read them there.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from napari.utils.notifications import show_warning
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_surfseg.config_errors import explain_error

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3

__all__ = ["Preferences", "find_preferences_file", "read_preferences"]

PLUGIN = "napari-surfseg"
#: Of the page in napari's Preferences.
PAGE = "training"

Voxels = Annotated[int, Field(ge=8, le=1024)]


class Preferences(BaseModel):
    """Where the forms start from.

    Attributes
    ----------
    runs_folder : str
        Where runs are made; empty for ``surfseg_runs`` in the home folder.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    live_box_z, live_box_y, live_box_x : int
        Voxels that are predicted live.
    ask_before_closing : bool
        Whether napari asks what is to become of a run that is under way; otherwise it goes on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs_folder: str = ""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    live_box_z: Voxels = 32
    live_box_y: Voxels = 128
    live_box_x: Voxels = 128
    ask_before_closing: bool = True

    @property
    def runs_path(self) -> Path:
        """Folder in which runs are made."""
        if self.runs_folder.strip():
            return Path(self.runs_folder.strip()).expanduser()
        return Path.home() / "surfseg_runs"

    @property
    def live_box(self) -> Size3:
        """Z, Y, X voxels that are predicted live."""
        return self.live_box_z, self.live_box_y, self.live_box_x


#: What the file holds at first.
FIRST_FILE = """\
# What the widgets of napari-surfseg start with. From napari 0.9 on this file is not read: the same
# is in its Preferences, under Surface segmentation.
runs_folder: ''            # folder in which runs are made; empty: surfseg_runs in the home folder
device: auto               # auto, cpu or cuda
live_box_z: 32             # voxels that are predicted live, 8 to 1024
live_box_y: 128
live_box_x: 128
ask_before_closing: true   # ask what is to become of a run when napari is closed
"""


def read_preferences() -> Preferences:
    """Read the preferences; what cannot be used is said and left out."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return _read_file(find_preferences_file())
    with contextlib.suppress(KeyError, AttributeError):  # the plugin is not installed as one
        page = getattr(get_plugin_settings(PLUGIN), PAGE)
        found = {name: getattr(page, name) for name in Preferences.model_fields}
        return _validate(found, "napari's Preferences")
    return Preferences()


def find_preferences_file() -> Path:
    """Return where the preferences lie on this platform, for napari before 0.9."""
    import platformdirs

    return platformdirs.user_config_path(PLUGIN, appauthor=False) / "preferences.yaml"


def _read_file(path: Path) -> Preferences:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        # So that a person finds what can be set.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FIRST_FILE, encoding="utf-8")
        return Preferences()
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        show_warning(f"The preferences {path} cannot be read ({reason}); the defaults are used.")
        return Preferences()
    if not isinstance(found, dict):
        show_warning(f"The preferences {path} must be a mapping of settings; defaults are used.")
        return Preferences()
    return _validate(found, str(path))


def _validate(found: dict[str, Any], source: str) -> Preferences:
    """Take what can be used, and say what cannot."""
    while True:
        try:
            return Preferences.model_validate(found)
        except ValidationError as error:
            reason = explain_error(error, Preferences, source)
            show_warning(f"{reason} The default is used.")
            wrong = str(error.errors()[0]["loc"][0])
            found = {name: value for name, value in found.items() if name != wrong}
