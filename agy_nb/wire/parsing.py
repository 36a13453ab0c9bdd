"""Frames and lines of recordings as JSON data. Pure: bytes in, data out."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

from agy_nb.wire.frames import Frame


def json_parser() -> Callable[[str | bytes], Any]:
    """Return orjson's parser if it is installed; texts that it rejects go to the standard one."""
    try:
        from orjson import loads
    except ImportError:
        return json.loads

    def parse_json(text: str | bytes) -> Any:
        try:
            return loads(text)
        except ValueError:
            return json.loads(text)

    return parse_json


_parse_json = json_parser()


def parse_lines(raws: list[bytes]) -> list[Any]:
    """Parse whole lines of a recording as JSON; a line that is cut off becomes an exception."""
    if raws[-1].endswith(b"\n"):  # no line before the last can lack its end
        with contextlib.suppress(ValueError, RecursionError):
            return [*map(_parse_json, raws)]
    return [*map(_line_or_error, raws)]


def _line_or_error(raw: bytes) -> Any:
    try:
        return _parse_json(raw) if raw.endswith(b"\n") else ValueError("it does not end")
    except (ValueError, RecursionError) as error:
        return error


def json_writer() -> Callable[[Any], str]:
    """Return a function that writes compact JSON text, with orjson if it is installed."""
    try:
        from orjson import dumps
    except ImportError:
        return _dump

    def write_json(value: Any) -> str:
        try:
            return dumps(value).decode()
        except TypeError:  # numbers of more than 64 bits, halves of surrogate pairs
            return _dump(value)

    return write_json


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse(message: str | bytes) -> Frame:
    """Parse a frame; one that is not a JSON object is kept under `$text` or `$base64`."""
    try:
        data = _parse_json(message)
    except (ValueError, RecursionError):
        data = None
    return as_frame(data, message)


def as_frame(data: Any, message: str | bytes) -> Frame:
    """Return the frame of a message with known JSON data, None if it is not JSON."""
    if isinstance(data, dict):
        return data
    if isinstance(message, str):
        return {"$text": message}
    return {"$base64": base64.b64encode(message).decode()}
