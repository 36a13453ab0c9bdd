"""Redact the headers of HTTP messages.

Rule 1: every header keeps its name. Programs read headers of responses: a redirect, the next page,
a limit, a file's name. Without them a replay takes another way than the recording.
Rule 2: a header with a secret's name loses its value. A cookie keeps its name and its attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from agy_nb.cassette.redaction.http.uris import clean_uri
from agy_nb.cassette.redaction.rules.field_names import harmless_header, is_secret_name
from agy_nb.cassette.redaction.rules.value_shapes import is_random
from agy_nb.cassette.redaction.split_text import SECRET

CleanText = Callable[[str], str]
"""Returns a text without secrets."""

_ADDRESSES = frozenset({"location", "content-location", "refresh", "referer", "origin"})
_LINK = re.compile(r"<([^<>]*)>")
_SET_COOKIE = re.compile(r"\A\s*+([^=;]*+)=([^;]*)")
_COOKIE = re.compile(r"(?<![^=;\s])([^=;\s]++)=([^;]*)")


def clean_headers(headers: Mapping[str, Any], text: CleanText) -> dict[str, Any]:
    """Return the headers of a response without secrets.

    Args:
        headers: Names and values; a value is a text or a list of texts, as in vcrpy's files.
        text: Returns a text without secrets.
    """
    return {name: _each(value, partial(_value, name, text)) for name, value in headers.items()}


def clean_request_headers(headers: Mapping[str, Any], text: CleanText) -> dict[str, Any]:
    """Return the headers of a request without secrets.

    Clients send credentials under names of their own. So a random value counts as a secret here,
    unless the header is known to be harmless.

    Args:
        headers: Names and values, as for `clean_headers`.
        text: Returns a text without secrets.
    """

    def clean(name: str, value: str) -> str:
        cleaned = _value(name, text, value)
        if not harmless_header(name) and (is_random(value) or is_random(cleaned)):
            return SECRET
        return cleaned

    return {name: _each(value, partial(clean, name)) for name, value in headers.items()}


def with_length(headers: Mapping[str, Any], before: object, after: object) -> dict[str, Any]:
    """Return headers whose `Content-Length` fits a body that redaction has changed.

    Args:
        headers: Names and values.
        before: The body as it came.
        after: The body without secrets.
    """
    if after == before or not isinstance(after, str | bytes):
        return dict(headers)
    length = str(len(after.encode() if isinstance(after, str) else after))
    return {
        name: _each(value, lambda _: length) if name.lower() == "content-length" else value
        for name, value in headers.items()
    }


def grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return headers as vcrpy writes them: each name with the list of its values."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, list | tuple):
        return [_each(one, change) for one in value]
    if isinstance(value, bytes):
        return change(value.decode("latin-1"))
    return change(value) if isinstance(value, str) else value


def _value(name: str, text: CleanText, value: str) -> str:
    lower = name.lower()
    if lower == "set-cookie":
        match = _SET_COOKIE.match(value)
        return f"{text(match[1])}={SECRET}{text(value[match.end() :])}" if match else SECRET
    value = text(value)  # what follows only knows the parts that a header has by its standard
    if lower == "cookie":
        return _COOKIE.sub(rf"\g<1>={SECRET}", value) if "=" in value else SECRET
    if lower == "link":
        return _LINK.sub(lambda match: f"<{clean_uri(match[1], text)}>", value)
    if lower in _ADDRESSES:
        return clean_uri(value, text)
    return SECRET if is_secret_name(name) and not harmless_header(name) else value
