"""Load recorded sessions: `agy.load(...)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.read.discovery import Found, search
from agy_nb.analysis.selection import Moment, Selection, Where
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
    model_requests: bool = ...,
    duplicates: Literal["drop", "keep"] = ...,
    prices: Prices | None = ...,
    since: Moment | None = ...,
    until: Moment | None = ...,
    where: Where | None = ...,
    tz: str | None = ...,
    cache: bool | str | Path = ...,
    engine: Literal["pandas"] = ...,
) -> Sessions: ...


@overload
def load(
    path: Any,
    *,
    chunks: bool = ...,
    text: bool = ...,
    model_requests: bool = ...,
    duplicates: Literal["drop", "keep"] = ...,
    prices: Prices | None = ...,
    since: Moment | None = ...,
    until: Moment | None = ...,
    where: Where | None = ...,
    tz: str | None = ...,
    cache: bool | str | Path = ...,
    engine: Literal["dask"],
) -> DaskSessions: ...


def load(  # noqa: PLR0913 - settings by keyword
    path: Any,
    *,
    chunks: bool = False,
    text: bool = False,
    model_requests: bool = True,
    duplicates: Literal["drop", "keep"] = "drop",
    prices: Prices | None = Prices(),  # noqa: B008 - frozen
    since: Moment | None = None,
    until: Moment | None = None,
    where: Where | None = None,
    tz: str | None = None,
    cache: bool | str | Path = True,
    engine: Literal["pandas", "dask"] = "pandas",
) -> Sessions | DaskSessions:
    """Load recorded sessions. Files are read on the first access to a table.

    Args:
        path: A cassette, a folder with cassettes below it, a pattern (`"runs/*/c*"`), or a list of
            these; also an agent's `app_data_dir` or `save_dir`, and sessions, to load them again.
            With fsspec, also a URL such as `"s3://bucket/runs"`.
        chunks: Whether to add a table with one row per piece of text.
        text: Whether to add the texts; by default, tables have only their lengths.
        model_requests: Whether to read the HTTP requests to the model that a cassette has recorded.
            Without them, tokens and times are those of the harness.
        duplicates: `"drop"` counts a turn once if several recordings hold it, such as copies or
            cassettes that were saved after each turn. `problems` has a row for each recording that
            lost turns. `"keep"` counts it each time.
        prices: Prices of model calls; None leaves cost unknown, which is faster.
        since: Keep rows from this moment on, as for `sessions.filter`: `"2026-11-20"`, `"7d"`.
        until: Keep rows before this moment; a date includes its day.
        where: Sessions to keep, as for `sessions.filter`.
        tz: Time zone of dates; None for the local one.
        cache: Whether to keep the tables of many or long recordings as Parquet files in the user's
            cache folder, so that the next load reads only the changes. A path is a folder for
            them. The cache needs the extra `arrow`.
        engine: `"pandas"` reads in this process, `"dask"` on many cores or machines.

    Returns:
        The sessions. Unreadable files are rows of `problems`.

    Raises:
        InvalidInputError: A path does not exist or has a wrong type, or a limit or the engine is
            unknown.

    Example:
        >>> sessions = agy.load("cassettes/")
        >>> sessions.usage(by="model")[["model", "total_tokens"]].to_dict("records")
        [{'model': 'gemini-2.5-flash', 'total_tokens': ...}]
    """
    found = _search(path)
    options: dict[str, Any] = {
        "chunks": chunks,
        "text": text,
        "model_requests": model_requests,
        "duplicates": duplicates,
        "prices": prices,
        "selection": replace(Selection.of(since, until, where, tz), is_lazy=True),
        "cache": cache,
    }
    if engine == "pandas":
        return Sessions(found.recordings, problems=found.problems, **options)
    if engine != "dask":
        raise InvalidInputError(
            f"engine must be 'pandas' or 'dask', got {engine!r}", field="engine"
        )
    from agy_nb.analysis.read.on_dask import DaskSessions

    return DaskSessions(found.recordings, problems=found.problems, **options)


def _search(path: Any) -> Found:
    """Find recordings on this machine and behind URLs."""
    named = _named(path)
    urls = [each for each in named if isinstance(each, str) and "://" in each]
    found = search([each for each in named if each not in urls])
    if not urls:
        return found
    from agy_nb.analysis.read.remote import search_urls

    remote = search_urls(urls)
    return Found(found.recordings + remote.recordings, found.problems + remote.problems)


def _named(path: Any) -> list[str | Path]:
    """List all paths and patterns; an iterator is read once."""
    if isinstance(path, Sessions):
        return [each.url or each.path for each in path.recordings]
    if isinstance(path, str | Path):
        text = str(path).removeprefix("file://") if isinstance(path, str) else str(path)
        if "://" in text:
            return [text]
        pattern = any(mark in text for mark in "*?[")
        if not text or not (pattern or Path(text).expanduser().exists()):
            raise InvalidInputError(
                f"there is nothing at {text!r}; name a folder or a file", field="path"
            )
        return [path if isinstance(path, Path) else text]
    if isinstance(path, Iterable) and not isinstance(path, bytes):
        return [each for item in path for each in _named(item)]
    raise InvalidInputError(
        f"path must be a path, a pattern, sessions or a list of these, got {path!r}", field="path"
    )
