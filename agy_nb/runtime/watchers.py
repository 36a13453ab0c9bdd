"""Lists of functions to call when something happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Watch = TypeVar("_Watch")


def added(watchers: list[_Watch], watch: _Watch) -> Callable[[], None]:
    """Add a function to a list of watchers.

    Args:
        watchers: The functions that are called; iterate over a copy, since one may leave meanwhile.
        watch: The new function.

    Returns:
        A function that removes it again; it may be called twice.

    Example:
        >>> watchers = []
        >>> stop = added(watchers, print)
        >>> stop(), stop(), watchers
        (None, None, [])
    """
    watchers.append(watch)

    def stop() -> None:
        watchers[:] = [known for known in watchers if known is not watch]

    return stop
