"""The ``surfseg`` command: read the arguments, run a command, turn any error into one sentence."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from napari_surfseg import __version__
from napari_surfseg.cli import commands
from napari_surfseg.cli.console import say_error
from napari_surfseg.cli.options import UsageError
from napari_surfseg.errors import SurfsegError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build_parser", "main"]

DESCRIPTION = """\
Train 3-D U-Nets to find thin surfaces in volumes, use them, and score the result.

a first look, start to end, in a few minutes:
  surfseg demo

your own data:
  surfseg train my_experiment.yaml --run-dir runs/first
  surfseg predict scan.zarr --checkpoint runs/first --output surfaces.zarr
  surfseg evaluate surfaces.zarr labels.tif
"""

UNEXPECTED_EXIT_CODE = 1
INTERRUPTED_EXIT_CODE = 130
BROKEN_PIPE_EXIT_CODE = 141


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that an error in the arguments is shown like any other."""

    def error(self, message: str) -> NoReturn:
        name = self.prog
        raise UsageError(f"{name}: {message.rstrip('.')}; see {name} --help.")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = _Parser(
        prog="surfseg",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"napari-surfseg {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug",
        action="store_true",
        help="show where in the program something went wrong",
    )
    subparsers = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    for add in commands.ALL:
        add(subparsers, common)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0 if all went well, 2 for a refusal (its sentence is on standard error),
        1 for an error of the program, 130 when interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Also needed where the arguments cannot be parsed.
    debug = "--debug" in arguments
    try:
        options = build_parser().parse_args(arguments)
        return int(options.run(options))
    except SurfsegError as error:
        return _refuse(error, str(error), error.exit_code, debug=debug)
    except KeyboardInterrupt as error:
        return _refuse(error, "Interrupted.", INTERRUPTED_EXIT_CODE, debug=debug)
    except BrokenPipeError:
        # Whatever read our output has ended (``surfseg runs | head``): no error.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE_EXIT_CODE
    except MemoryError as error:
        return _refuse(error, "There is not enough memory for this.", 2, debug=debug)
    except SystemExit as request:  # --help and --version
        return request.code if isinstance(request.code, int) else 0
    except Exception as error:  # noqa: BLE001 - no traceback reaches a person who did not ask
        what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        sentence = f"Something unforeseen went wrong: {what}; --debug shows where."
        return _refuse(error, sentence, UNEXPECTED_EXIT_CODE, debug=debug)


def _refuse(error: BaseException, sentence: str, code: int, *, debug: bool) -> int:
    if debug:
        say_error("".join(traceback.format_exception(error)).rstrip())
    say_error(sentence)
    return code
