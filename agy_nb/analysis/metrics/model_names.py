"""Names of models, as endpoints write them and as price tables know them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime

_PATH = re.compile(r"\A(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/")
_PREFIXES = ("models/", "google/")
_VERSION = re.compile(r"[-@]\d{3}\Z")

_ALIASES: Mapping[str, tuple[tuple[date, date | None, str | None], ...]] = {
    "gemini-flash-latest": (
        (date(2025, 9, 25), date(2026, 1, 21), "gemini-2.5-flash-preview-09-2025"),
        (date(2026, 1, 21), date(2026, 5, 19), "gemini-3-flash-preview"),
        (date(2026, 10, 8), None, None),
    ),
    "gemini-flash-lite-latest": (
        (date(2025, 9, 25), date(2026, 3, 3), "gemini-2.5-flash-lite-preview-09-2025"),
        (date(2026, 10, 8), None, None),
    ),
    "gemini-pro-latest": (
        (date(2026, 1, 21), date(2026, 2, 19), "gemini-3-pro-preview"),
        (date(2026, 3, 9), None, None),
    ),
}
"""Models behind aliases that move: first day, first day after, and model; None for the model that
the price table has. On other days, Google's release notes do not say which model it was."""


def bare_name(model: str) -> str:
    """Return the name of a model without its place.

    Example:
        >>> bare_name("projects/p/locations/global/publishers/google/models/gemini-2.5-pro")
        'gemini-2.5-pro'
        >>> bare_name("google/gemini-2.5-flash@001")
        'gemini-2.5-flash@001'
    """
    name = _PATH.sub("", model.strip())
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def known_names(model: str) -> Iterator[str]:
    """Yield the names by which a price table may know a model, the most specific first.

    Example:
        >>> list(known_names("models/gemini-2.5-flash@001"))
        ['gemini-2.5-flash@001', 'gemini-2.5-flash-001', 'gemini-2.5-flash']
    """
    name = bare_name(model)
    names = [name, name.replace("@", "-"), _VERSION.sub("", name), name.partition("@")[0]]
    yield from dict.fromkeys(names)


def model_at(model: str, day: datetime | None) -> str | None:
    """Return the model that a name meant at a day; None if it is an alias and that is not known.

    Args:
        model: Name of a model.
        day: The day; today when None.

    Example:
        >>> model_at("models/gemini-flash-latest", datetime(2026, 2, 1))
        'gemini-3-flash-preview'
        >>> model_at("gemini-flash-latest", datetime(2026, 7, 1)) is None
        True
        >>> model_at("gemini-2.5-pro", datetime(2026, 7, 1))
        'gemini-2.5-pro'
    """
    name = bare_name(model)
    spans = _ALIASES.get(name)
    if spans is None or day is None:
        return name
    for first, end, meant in spans:
        if first <= day.date() and (end is None or day.date() < end):
            return meant or name
    return None
