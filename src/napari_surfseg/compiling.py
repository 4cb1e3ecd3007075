"""Compile loops over arrays with numba: the one place that knows how.

No torch here: metrics, losses and loader threads all use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compiled"]

F = TypeVar("F", bound="Callable[..., Any]")


def compiled(function: F) -> F:
    """Compile a function of arrays, cached on disk where some folder can be written.

    It runs without the interpreter's lock, checks no bounds, and divides by zero as
    numpy does (inf or NaN, no exception), which lets the compiler vectorise.

    Parameters
    ----------
    function : callable
        A function of arrays and numbers in the subset of Python numba compiles.

    Returns
    -------
    callable
        The function; machine code is made at the first call of each signature.
    """
    try:
        made = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        # numba raises when neither the package's folder nor a user cache folder can be written
        # (a read-only container); compiling again in every process is slow but right.
        made = numba.njit(nogil=True, error_model="numpy")(function)
    result: F = made
    return result
