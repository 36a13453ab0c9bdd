"""What the fields of a script may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from agy_nb.testing.errors import InvalidScriptError

_DEEPEST = 100
ANY_TEXT = re.compile(r"(?s).+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_SET_BY_SERVER = frozenset({"content-length", "transfer-encoding", "connection"})


def check_json(value: object, where: str, room: int = _DEEPEST) -> None:
    """Raise an error that names the first value for which JSON has no form."""
    if room < 0:
        raise InvalidScriptError(f"{where} is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise InvalidScriptError(f"{where} has the name {name!r}; names must be text")
            check_json(item, f"{where} {name!r}", room - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_json(item, where, room - 1)
    elif not isinstance(value, str | int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise InvalidScriptError(
            f"{where} must be JSON, got {value!r}; pass what a model sends, e.g. text"
        )


def is_duration(seconds: object) -> bool:
    """Return whether a value is a number of seconds: finite and not negative."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return math.isfinite(seconds) and seconds >= 0


def is_status(status: object) -> bool:
    """Return whether a value is an HTTP status that reports an error."""
    if isinstance(status, bool) or not isinstance(status, int):
        return False
    return 400 <= status <= 599  # noqa: PLR2004 - HTTP's own numbers


def is_text(value: object, form: re.Pattern[str]) -> bool:
    """Return whether a value is text of the given form."""
    return isinstance(value, str) and form.fullmatch(value) is not None


def check_headers(headers: object) -> None:
    """Raise `InvalidScriptError` for the first header that HTTP does not allow."""
    if not isinstance(headers, Mapping):
        raise InvalidScriptError(f"headers must be a mapping, got {headers!r}")
    for name, value in headers.items():
        if not is_text(name, _HEADER_NAME):
            raise InvalidScriptError(f"{name!r} is not the name of an HTTP header")
        if name.lower() in _SET_BY_SERVER:
            raise InvalidScriptError(f"the server sets the header {name!r}; leave it out")
        if not is_text(value, _HEADER_VALUE):
            raise InvalidScriptError(f"the header {name!r} must be one line of text, got {value!r}")
