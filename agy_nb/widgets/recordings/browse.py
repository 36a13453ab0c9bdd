"""Open the recordings browser for a folder, recordings or loaded sessions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.analysis.sessions import Sessions
from agy_nb.errors import InvalidInputError
from agy_nb.widgets.recordings.browser import Browser
from agy_nb.widgets.recordings.continuation import LiveSettings

Place: TypeAlias = str | os.PathLike[str] | Sessions
Recordings: TypeAlias = Place | Iterable[Place]
"""A folder or a recording, sessions of `agy.load`, or several of these."""


def browse(
    folder: Recordings = "cassettes",
    *,
    config: Any = None,
    tools: Sequence[Callable[..., Any]] = (),
) -> Browser:
    """Browse recordings: show each as a chat, replay it, step through it, compare or continue it.

    Nothing in a recording is executed, and nothing is written. A damaged, incomplete or running
    recording is shown as far as it can be read, with a notice. "Continue from here" starts an agent
    with `agy.fork`, and opens its chat below.

    Args:
        folder: The folder; recordings in its subfolders are listed too. Also one recording, the
            sessions of `agy.load`, or a list of these.
        config: The SDK's configuration, or a mapping of its fields, for agents that continue a
            recording. Without a model, the page asks for one.
        tools: Host functions for these agents.

    Returns:
        The view; the last line of a cell shows it.

    Raises:
        InvalidInputError: `folder` has another type, or names no recording.
        WrongLoopError: No event loop has run in this process.

    Example:
        >>> browser = agy.browse("cassettes/")
        >>> browser.folder.name
        'cassettes'
        >>> browser.close()
    """
    live = LiveSettings(config, tuple(tools))
    if isinstance(folder, str | os.PathLike):
        return Browser(Path(folder).expanduser(), live)
    places = tuple(_places(folder))
    if not places:
        raise InvalidInputError("folder must name a recording, got an empty list", field="folder")
    return Browser(_common_folder(places), live, places)


def _places(given: object) -> Iterator[Path]:
    if isinstance(given, str | os.PathLike):
        yield Path(given).expanduser().absolute()
    elif isinstance(given, Sessions):
        yield from (each.path.absolute() for each in given.recordings if not each.url)
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        for each in given:
            yield from _places(each)
    else:
        msg = f"folder must be a path, sessions or a list of these, got {given!r}"
        raise InvalidInputError(msg, field="folder")


def _common_folder(places: Sequence[Path]) -> Path:
    """Return the folder that has all places below it; a single place is its own."""
    only, *others = places
    return Path(os.path.commonpath([each.parent for each in places])) if others else only
