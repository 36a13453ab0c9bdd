"""Names of models, as endpoints write them and as price tables know them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PATH = re.compile(r"\A(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/")
_PREFIXES = ("models/", "google/")
_VERSION = re.compile(r"[-@]\d{3}\Z")


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
