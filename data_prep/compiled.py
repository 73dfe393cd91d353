"""Functions over arrays that run as machine code, for what must look at every character of a million rows.

    @compiled("u4[]", "i8[]", "b1[]!")
    def mark(codes, starts, marked): ...

A function is compiled at its first call in this checkout (0.3 to 2 s each) and kept beside its module in `__pycache__`, or in the
user's cache folder where the checkout is read-only; NUMBA_CACHE_DIR names another place. Where nothing can be written, every
process compiles for itself. Processes that start at once may all compile: each file is renamed into its place whole,
and a function has one signature, so that they write the same.

Inside, integers are 64 bits wide: 32-bit arithmetic needs masks. Constants are compiled in, and a change to another module's
constant would not be noticed: what may change comes as an argument.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def compiled(*arguments: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile the function for arguments of these types.

    `u4` a number, `u4[]` an array that is read, `u4[]!` an array that is written too, `f4[][]` one of two dimensions; all
    contiguous. Calls with other types raise TypeError.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @cache
        def machine_code() -> Callable[P, R]:
            return _compile(function, arguments)

        @wraps(function)
        def call(*values: P.args, **named: P.kwargs) -> R:
            return machine_code()(*values, **named)

        return call

    return decorate


def _compile(function: Callable[P, R], arguments: tuple[str, ...]) -> Callable[P, R]:
    # the import takes a quarter of a second, and many processes never compute anything
    import numba

    signature = tuple(_type(argument) for argument in arguments)
    try:
        made: Callable[P, R] = numba.njit(signature, cache=True)(function)
    except (RuntimeError, OSError):  # no folder for the cache, or no room in it
        made = numba.njit(signature)(function)
    return made


def _type(written: str) -> Any:
    import numba
    import numpy

    dimensions = written.count("[]")
    item = numba.from_dtype(numpy.dtype(written.partition("[")[0]))
    return numba.types.Array(item, dimensions, "C", readonly="!" not in written) if dimensions else item
