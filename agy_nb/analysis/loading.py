"""Load recorded sessions: `agy.load(...)`."""

# ruff: noqa: ANN401 - what is read is a path, a pattern, or a list of these
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import find_recordings
from agy_nb.analysis.sessions import Sessions
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    from agy_nb.analysis.read.on_dask import DaskSessions


@overload
def load(
    path: Any,
    *,
    chunks: bool = ...,
    text: bool = ...,
    prices: Prices | None = ...,
    engine: Literal["pandas"] = ...,
) -> Sessions: ...


@overload
def load(
    path: Any,
    *,
    chunks: bool = ...,
    text: bool = ...,
    prices: Prices | None = ...,
    engine: Literal["dask"],
) -> DaskSessions: ...


def load(
    path: Any,
    *,
    chunks: bool = False,
    text: bool = False,
    prices: Prices | None = Prices(),  # noqa: B008 - frozen
    engine: Literal["pandas", "dask"] = "pandas",
) -> Sessions | DaskSessions:
    """Recorded sessions, read on the first question.

    Args:
        path: A cassette, a folder with cassettes below it, a pattern (`"runs/*/c*"`), or a list of
            these; also an agent's `app_data_dir` or `save_dir`, as far as these can be read.
        chunks: Whether to have a row for each piece of text.
        text: Whether to have what was said; tables hold only its length otherwise.
        prices: How model calls are priced; None leaves cost unknown, which is faster.
        engine: `"pandas"` reads here, one file after the other; `"dask"` on many cores or machines,
            see `agy_nb.analysis.read.on_dask`.

    Returns:
        The sessions. Files that cannot be read are rows of `problems`.

    Raises:
        InvalidInputError: A path that has no pattern does not exist, or is none; or there is no
            such engine.

    Example:
        >>> sessions = agy.load("cassettes/")
        >>> sessions.usage(by="model")[["model", "total_tokens"]].to_dict("records")
        [{'model': 'gemini-2.5-flash', 'total_tokens': ...}]
    """
    recordings = tuple(find_recordings(_named(path)))
    if engine == "pandas":
        return Sessions(recordings, chunks=chunks, text=text, prices=prices)
    if engine != "dask":
        raise InvalidInputError(
            f"engine must be 'pandas' or 'dask', got {engine!r}", field="engine"
        )
    from agy_nb.analysis.read.on_dask import DaskSessions

    return DaskSessions(recordings, chunks=chunks, text=text, prices=prices)


def _named(path: Any) -> list[str | Path]:
    """Every path and pattern that was named; what is only read once, as a generator, is kept."""
    if isinstance(path, str | Path):
        text = str(path)
        pattern = any(mark in text for mark in "*?[")
        if not text or not (pattern or Path(text).expanduser().exists()):
            raise InvalidInputError(
                f"there is nothing at {text!r}; name a folder or a file", field="path"
            )
        return [path]
    if isinstance(path, Iterable) and not isinstance(path, bytes):
        return [each for item in path for each in _named(item)]
    raise InvalidInputError(
        f"a path, a pattern or a list of these is needed, got {path!r}", field="path"
    )
