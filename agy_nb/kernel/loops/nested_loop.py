"""Make the running event loop re-entrant.

`nest-asyncio2` patches the loop's class and asyncio's Task and Future permanently. So the patch is
applied only at the first `run()` in a cell.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Literal

from agy_nb.kernel.errors import CannotBlockError

Implementation = Literal["nest-asyncio2", "nest_asyncio", "none"]


def implementation(loop: asyncio.AbstractEventLoop | None) -> Implementation:
    """Return which patch the loop's class has."""
    cls = type(loop)
    if not hasattr(cls, "_nest_patched"):
        return "none"
    return "nest-asyncio2" if hasattr(cls, "_nest_asyncio2") else "nest_asyncio"


def implementation_version(loop: asyncio.AbstractEventLoop | None) -> str:
    """Return the active patch with its version, e.g. `"nest-asyncio2 1.7.4"`, or `"none"`."""
    name = implementation(loop)
    if name == "none":
        return name
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name


def allow_nesting(loop: asyncio.AbstractEventLoop) -> None:
    """Make a running loop re-entrant.

    Args:
        loop: The loop that runs in this thread.

    Raises:
        CannotBlockError: The loop is not asyncio's (e.g. uvloop), or the patch is not installed.
    """
    check(loop)
    if implementation(loop) == "nest-asyncio2" or not _installed():
        return
    import nest_asyncio2

    _forget_first_version(loop)
    with warnings.catch_warnings():
        # It warns of nest_asyncio 1.x, whose loop methods are replaced here.
        warnings.simplefilter("ignore")
        nest_asyncio2.apply(loop)


@contextlib.contextmanager
def nested(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Make a running loop re-entrant, and leave it as the iteration around us expects it.

    An iteration of asyncio's own loop counts its handles first and then takes that many off the
    queue. The first nested run happens inside such an iteration and may run the rest of them:
    taking the next one from an empty queue would end the loop, and in a notebook the kernel.

    Args:
        loop: The loop that runs in this thread.

    Raises:
        CannotBlockError: The loop is not asyncio's (e.g. uvloop), or the patch is not installed.
    """
    allow_nesting(loop)
    ready: deque[object] = getattr(loop, "_ready", deque())
    counted = len(ready)
    try:
        yield
    finally:
        for _ in range(counted - len(ready)):
            loop.call_soon(_nothing)


def _nothing() -> None:
    """Take the place of a handle that a nested run has taken."""


def check(loop: asyncio.AbstractEventLoop) -> None:
    """Check that a loop can be nested, without changing it.

    Raises:
        CannotBlockError: The loop cannot be nested.
    """
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise CannotBlockError(
            f"{type(loop).__module__}.{type(loop).__qualname__} cannot be nested"
        )
    if implementation(loop) == "none" and not _installed():
        raise CannotBlockError("the package nest-asyncio2 is not installed")


def _installed() -> bool:
    return importlib.util.find_spec("nest_asyncio2") is not None


def _forget_first_version(loop: asyncio.AbstractEventLoop) -> None:
    # nest_asyncio 1.x knows nothing of contexts: on ipykernel >= 7.1, where all cells share one,
    # it drops the cells that are queued while it runs. Its mark keeps version 2 from the loop.
    for cls in type(loop).__mro__:
        if "_nest_patched" in vars(cls) and "_nest_asyncio2" not in vars(cls):
            del cls._nest_patched  # type: ignore[attr-defined]
