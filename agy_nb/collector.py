"""Pause Python's garbage collector while many objects are made that have no cycles."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collector_paused(*, collect: bool = False) -> Iterator[None]:
    """Pause the collector of this process while the block runs.

    Each collection would visit all new objects and find nothing.

    Args:
        collect: Whether to collect once at the end, so that later collections leave these objects
            alone.

    Example:
        >>> import gc
        >>> with collector_paused():
        ...     gc.isenabled()
        False
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
            if collect:
                gc.collect()
