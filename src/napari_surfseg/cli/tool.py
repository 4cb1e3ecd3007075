"""``surfseg tool``: a tool on surfaces, run on files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import reporting_stages, say, say_error
from napari_surfseg.cli.options import UsageError, add_command, read_share

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.surface_tools.results import Table
    from napari_surfseg.surface_tools.setting import Parameter

__all__ = ["add"]

#: Rows of a table that are printed; the file has all. Columns that need no heading.
MAX_ROWS, PAIR = 40, 2

DESCRIPTION = """\
Run a tool on surfaces: the same functions as in the dock "Surface tools".

  surfseg tool                     list the tools
  surfseg tool NAME                list what a tool takes, with its limits
  surfseg tool NAME IN --output OUT --set min_voxels=100
"""

EXAMPLES = """\
examples:
  surfseg tool cells-from-membranes probabilities.tif --output cells.tif
  surfseg tool remove-small-pieces surface.zarr --output clean.zarr --set min_voxels=200
  surfseg tool surface-mesh surface.zarr --output sheet.ply --set kind=sheet
  surfseg tool score-against-labels surface.tif labels.tif --output scores.csv
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "tool",
        run,
        summary="clean, number, mesh or score surfaces; find cells",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument("tool", metavar="NAME", nargs="?", help="which; without it, a list")
    parser.add_argument(
        "inputs", metavar="IN", nargs="*", help="a volume for each thing the tool takes, in order"
    )
    parser.add_argument(
        "--output", metavar="OUT", help=".zarr, .tif or .npy; a mesh .ply, .obj or .stl; .csv"
    )
    parser.add_argument(
        "--set",
        metavar="SETTING=VALUE",
        action="append",
        default=[],
        help="change a setting of the tool; may be given several times",
    )
    parser.add_argument(
        "--threshold",
        type=read_share,
        default=0.5,
        metavar="T",
        help="probability above which a voxel is surface, where a mask is needed (default: 0.5)",
    )
    parser.add_argument(
        "--leave-out",
        type=int,
        action="append",
        default=[],
        metavar="VALUE",
        help="a value of the first volume that is no surface, such as 2 where labels mean "
        "'not annotated' by it; may be given several times",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.surface_tools.files import ToolRun, run_tool
    from napari_surfseg.surface_tools.registry import TOOLS, find_tool

    if options.tool is None:
        width = max(map(len, TOOLS))
        say("\n".join(f"{name:<{width}}  {tool.summary}" for name, tool in TOOLS.items()))
        return 0
    tool = find_tool(options.tool)
    takes = " and ".join(tool.inputs) or "no volume"
    if not options.inputs and (tool.inputs or options.output is None):
        say("\n".join([tool.summary, "", f"takes {takes}", *_describe(tool)]))
        return 0
    if len(options.inputs) != len(tool.inputs):
        count = len(tool.inputs)
        raise UsageError(
            f"{tool.name} takes {takes}, so {count} {'volume' if count == 1 else 'volumes'}; "
            f"{len(options.inputs)} were given."
        )
    if options.output is None:
        raise UsageError(f"{tool.name} needs --output, the file to write.")
    job = ToolRun(
        tool.name,
        dict(zip(tool.inputs, options.inputs, strict=True)),
        options.output,
        _read_settings(options.set, tool.parameters),
        options.threshold,
        left_out=dict.fromkeys([*tool.inputs][:1], options.leave_out) if options.leave_out else {},
    )
    with reporting_stages() as report:
        found = run_tool(job, report)
    for note in found["notes"]:
        say_error(f"note: {note}")
    if found.get("table"):
        say(_write_table(found["table"], found.get("units", {})))
    say(f"{tool.title.lower()}: {found['written']}")
    return 0


def _write_table(table: Table, units: Mapping[str, str]) -> str:
    """Write the first rows, with headings where there are more than a name and a value."""
    columns = list(table[0])
    rows = [[_write(row[name]) for name in columns] for row in table[:MAX_ROWS]]
    if len(columns) > PAIR:
        rows.insert(0, [f"{name} ({units[name]})" if name in units else name for name in columns])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    left = len(table) - MAX_ROWS
    return "\n".join([*lines, *([f"and {left:,} more rows"] if left > 0 else [])])


def _write(value: float | int | str) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _describe(tool: Any) -> list[str]:
    lines = []
    for parameter in tool.parameters:
        setting = parameter.setting
        limits = "true or false" if parameter.kind is bool else setting.describe_limits()
        unit = f" {setting.unit}" if setting.unit else ""
        lines += [
            f"  {parameter.name}={parameter.default}",
            f"      {setting.meaning} ({limits}{unit})",
        ]
    return lines


def _read_settings(given: list[str], parameters: list[Parameter]) -> dict[str, Any]:
    kinds = {parameter.name: parameter.kind for parameter in parameters}
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"The --set {text!r} has no '='; write SETTING=VALUE.")
        values[name] = _read_value(value.strip(), kinds.get(name, str))
    return values


def _read_value(text: str, kind: type) -> Any:
    """Read a value as far as it can be read; what it may be is checked with the limits."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            return float(text) if kind is float else int(text)
        except ValueError:
            return text
    return text
