"""Many pairs of volume and labels at once: from a table, or from a pattern of names.

In a configuration ``data.train`` and ``data.validation`` may be a table, or hold a pair whose
image is a pattern; what a run keeps in its ``config.yaml`` is the list that came of it.

::

    train: pairs.csv                                        one pair a row
    train: {image: images/*.tif, labels: labels/{name}.tif} one pair a file

Nothing is opened here, but what is missing is found, with its row.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PairList", "expand_pairs", "is_pattern", "is_table", "read_pattern", "read_table"]

TABLE_SUFFIXES = (".csv", ".tsv")
#: Columns of a table; the first two must be there.
COLUMNS = ("image", "labels", "weight", "split", "spacing", "roi")
AXIS_COLUMNS = ("spacing_z", "spacing_y", "spacing_x")
SPLITS = {
    **dict.fromkeys(("", "train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
}
PLACE = "{name}"


@dataclass
class PairList:
    """Pairs as plain values of the configuration, with absolute paths.

    Attributes
    ----------
    train, validation : list of dict
        What to train on, and what to score on.
    """

    train: list[dict[str, Any]] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)


def is_table(value: Any) -> bool:
    """Whether a value of the configuration names a table."""
    return isinstance(value, str) and value.lower().endswith(TABLE_SUFFIXES)


def is_pattern(value: Any) -> bool:
    """Whether a value of the configuration is a pair that stands for many."""
    return isinstance(value, dict) and "*" in str(value.get("image", ""))


def expand_pairs(
    value: Any, folder: Path, resolve: Callable[[str, Path], str], *, key: str
) -> PairList | None:
    """Make a list of pairs of what stands for many.

    Parameters
    ----------
    value : object
        Of ``data.train`` or ``data.validation``.
    folder : Path
        From which relative paths are taken.
    resolve : callable
        ``resolve(source, folder)`` makes a path absolute.
    key : str
        Dotted key, for sentences.

    Returns
    -------
    PairList or None
        None where the value is an ordinary one.

    Raises
    ------
    ConfigError
        Naming the table's row or the file that is missing.
    """
    if isinstance(value, str) and not is_table(value):
        raise ConfigError(
            f"{key} is {value!r}; it must be a list of pairs, a table (a file that ends in .csv "
            "or .tsv), or a pattern such as {image: 'images/*.tif', labels: 'labels/{name}.tif'}.",
            field=key,
        )
    entries = value if isinstance(value, list | tuple) else [value]
    if not any(is_table(entry) or is_pattern(entry) for entry in entries):
        return None
    found = PairList()
    for entry in entries:
        if is_table(entry):
            rows = read_table(Path(resolve(entry, folder)), resolve, key=key)
            found.train += rows.train
            found.validation += rows.validation
        elif is_pattern(entry):
            found.train += read_pattern(entry, folder, resolve, key=key)
        else:
            found.train.append(entry)
    return found


def read_table(
    path: Path, resolve: Callable[[str, Path], str], *, key: str = "data.train"
) -> PairList:
    """Read a table of pairs; relative paths are taken from its folder.

    Raises
    ------
    ConfigError
        Naming the file and the row, as a spreadsheet counts them.
    """
    rows = _read_rows(path, key)
    try:
        header_line, header = next(rows)
    except StopIteration:
        raise ConfigError(f"The table {path} is empty.", field=key) from None
    names = [name.strip().lower() for name in header]
    _check_header(path, names, key)
    found = PairList()
    seen: dict[tuple[Any, ...], tuple[int, str]] = {}
    for line, cells in rows:
        where = f"In {path}, row {line}"
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            raise ConfigError(
                f"{where} has {len(cells)} cells, but row {header_line} names {len(names)} "
                "columns.",
                field=key,
            )
        padded = [cell.strip() for cell in cells] + [""] * (len(names) - len(cells))
        values = dict(zip(names, padded, strict=False))
        entry, split = _read_row(values, path.parent, resolve, where=where, key=key)
        same = (entry["image"], entry["labels"], str(entry.get("roi")))
        if same in seen:
            other, other_split = seen[same]
            what = "repeats" if other_split == split else "scores on what is trained on in"
            raise ConfigError(
                f"{where} {what} row {other}; each pair may be there once.", field=key
            )
        seen[same] = (line, split)
        (found.train if split == "train" else found.validation).append(entry)
    if not found.train and not found.validation:
        raise ConfigError(f"The table {path} has no rows below its header.", field=key)
    weighted = [entry for entry in found.train if "weight" in entry]
    if weighted and len(weighted) < len(found.train):
        raise ConfigError(
            f"In {path}, weight is given in {len(weighted)} of {len(found.train)} rows for "
            "training; give it in all of them or in none.",
            field=key,
        )
    return found


def _read_rows(path: Path, key: str) -> Iterator[tuple[int, list[str]]]:
    """Give the rows that hold anything, with their numbers; a # begins a remark."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"There is no table {path}.", field=key) from None
    except UnicodeDecodeError:
        raise ConfigError(f"The table {path} cannot be read: it is not text in UTF-8.") from None
    except OSError as error:
        raise ConfigError(
            f"The table {path} cannot be read: {error.strerror or error}.", field=key
        ) from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    # What a spreadsheet writes depends on the language it runs in.
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ConfigError(f"In {path}, row {reader.line_num}: {error}.", field=key) from None


def _check_header(path: Path, names: list[str], key: str) -> None:
    known = (*COLUMNS, *AXIS_COLUMNS)
    allowed = f"the columns are {', '.join(known)}; one whose name begins with # is passed over"
    for name in ("image", "labels"):
        if name not in names:
            raise ConfigError(
                f"The table {path} has no column {name!r} in its first row; {allowed}.", field=key
            )
    for name in names:
        if name and not name.startswith("#") and name not in known:
            raise ConfigError(
                f"The table {path} has a column {name!r}, which means nothing; {allowed}.",
                field=key,
            )
        if name in known and names.count(name) > 1:
            raise ConfigError(f"The table {path} has two columns {name!r}.", field=key)


def _read_row(
    values: dict[str, str],
    folder: Path,
    resolve: Callable[[str, Path], str],
    *,
    where: str,
    key: str,
) -> tuple[dict[str, Any], str]:
    entry: dict[str, Any] = {}
    for name in ("image", "labels"):
        if not values[name]:
            raise ConfigError(f"{where} names no {name}.", field=key)
        entry[name] = resolve(values[name], folder)
        if _is_missing(entry[name]):
            raise ConfigError(
                f"{where}: there is no file {entry[name]}, the {name} of that row.", field=key
            )
    if values.get("weight"):
        entry["weight"] = _read_numbers(values["weight"], 1, f"{where}: weight", key)[0]
    spacing = _read_spacing(values, where, key)
    if spacing is not None:
        entry["spacing"] = spacing
    if values.get("roi"):
        entry["roi"] = _read_roi(values["roi"], where, key)
    split = SPLITS.get(values.get("split", "").lower())
    if split is None:
        raise ConfigError(
            f"{where}: split is {values['split']!r}, but it must be train or validation.", field=key
        )
    return entry, split


def _read_spacing(values: dict[str, str], where: str, key: str) -> list[float] | None:
    cells = [values.get(name, "") for name in AXIS_COLUMNS]
    if any(cells):
        if not all(cells) or values.get("spacing"):
            raise ConfigError(
                f"{where}: the voxel size is either spacing_z, spacing_y and spacing_x, or "
                "spacing.",
                field=key,
            )
        return [
            _read_numbers(cell, 1, f"{where}: {name}", key)[0]
            for name, cell in zip(AXIS_COLUMNS, cells, strict=True)
        ]
    if not values.get("spacing"):
        return None
    found = _read_numbers(values["spacing"], 3, f"{where}: spacing", key)
    return found * 3 if len(found) == 1 else found


def _read_numbers(text: str, most: int, what: str, key: str) -> list[float]:
    """Read one number above 0, or so many."""
    try:
        # Where ; or a tab separates the cells, a comma is what a point is elsewhere.
        parts = text.replace(" x ", " ").replace("×", " ").split()
        found = [float(part.replace(",", ".")) for part in parts]
    except ValueError:
        found = []
    if len(found) not in {1, most} or not all(0 < number < math.inf for number in found):
        wanted = "a number above 0" if most == 1 else "one number above 0, or three (Z Y X)"
        raise ConfigError(f"{what} is {text!r}, but it must be {wanted}.", field=key)
    return found


def _read_roi(text: str, where: str, key: str) -> list[list[int]]:
    parts = re.findall(r"(\d+):(\d+)", text)
    if len(parts) != 3 or re.sub(r"\d+:\d+", "", text).strip(" ,"):
        raise ConfigError(
            f"{where}: roi is {text!r}, but it must be three ranges of voxels along Z, Y and X, as "
            "0:64 0:128 0:128.",
            field=key,
        )
    return [[int(start), int(stop)] for start, stop in parts]


def read_pattern(
    entry: dict[str, Any],
    folder: Path,
    resolve: Callable[[str, Path], str],
    *,
    key: str = "data.train",
) -> list[dict[str, Any]]:
    """Find the pairs of a pattern such as ``images/*.tif`` with ``labels/{name}.tif``.

    ``{name}`` is what ``*`` stood for. Whatever else the pair says holds for all of them.

    Raises
    ------
    ConfigError
        If it is no pattern, nothing fits it, or labels are missing.
    """
    image, labels = str(entry["image"]), str(entry.get("labels", ""))
    if image.count("*") != 1 or "://" in image:
        raise ConfigError(
            f"{key}: the pattern {image!r} must be a path with one *, which {PLACE} in labels "
            "stands for.",
            field=key,
        )
    if PLACE not in labels:
        raise ConfigError(
            f"{key}: the image is the pattern {image!r}, so labels must hold {PLACE}, which is "
            f"what * stands for; found {labels!r}.",
            field=key,
        )
    names = _match(image, folder, key)
    if not names:
        raise ConfigError(f"{key}: nothing fits the pattern {image} from {folder}.", field=key)
    found, missing = [], []
    for name in names:
        pair = {
            **entry,
            "image": resolve(image.replace("*", name), folder),
            "labels": resolve(labels.replace(PLACE, name), folder),
        }
        if _is_missing(pair["labels"]):
            missing.append(pair)
        found.append(pair)
    if missing:
        raise ConfigError(
            f"{key}: {len(missing)} of the {len(found)} volumes that fit {image} have no labels; "
            f"that of {missing[0]['image']} would be {missing[0]['labels']}.",
            field=key,
        )
    return found


def _match(pattern: str, folder: Path, key: str) -> list[str]:
    """Return what the star stands for in each path that fits, in the order a person expects."""
    path, _, inner = pattern.partition("::")
    if "*" in inner:
        raise ConfigError(f"{key}: the * of {pattern!r} must stand in the path.", field=key)
    parts = Path(path).parts
    at = next(index for index, part in enumerate(parts) if "*" in part)
    place = folder.joinpath(*[Path(part).expanduser() for part in parts[:at]])
    before, after = parts[at].split("*")
    try:
        inside = [item.name for item in place.iterdir()]
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"{key}: the folder {place} cannot be read: {reason}.", field=key
        ) from None
    names = [
        name[len(before) : len(name) - len(after)]
        for name in inside
        if name.startswith(before)
        and name.endswith(after)
        and len(name) > len(before) + len(after)
        and not (name.startswith(".") and not before)
        and place.joinpath(name, *parts[at + 1 :]).exists()
    ]
    return sorted(names, key=_natural)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order names as people count: 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _is_missing(source: str) -> bool:
    if "://" in source:
        return False
    try:
        return not Path(source.partition("::")[0]).exists()
    except (OSError, ValueError):
        return True
