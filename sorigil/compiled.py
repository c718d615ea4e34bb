"""Loops that numpy cannot vectorise, compiled by numba at their first call and kept beside the source for the next process.

Not for what numpy, scipy or a library does well. A module with compiled functions is imported inside the functions that
need it: numba costs half a second, and `--help` must not pay it. What is kept is found again by the time and size of the
file the function stands in, and of no other: functions that call each other stand in one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function of arrays and numbers; it lets go of the interpreter lock while it runs."""
    try:
        made = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep it in can be written to
        made = numba.njit(nogil=True)(function)
    return cast(Callable[Arguments, Result], made)
