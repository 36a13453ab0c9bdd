"""Values of frames, which are JSON that may say anything.

A value of the wrong type reads as an empty one: a frame is never refused for it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from itertools import product
from typing import Any, Final

from agy_nb.wire.frames import (
    ARGUMENTS,
    ARGUMENTS_JSON,
    BUILTIN_TOOLS,
    LIST_VALUE,
    MCP_TOOL,
    NAME,
    NULL_VALUE,
    PATH_ARGUMENTS,
    RESPONSE,
    RESPONSE_JSON,
    STRUCT_VALUE,
    SUPPLEMENTAL_MEDIA,
    Frame,
)


def text_of(value: Any) -> str:
    """Return a text, empty where the value is not one."""
    return value if isinstance(value, str) else ""


def number_of(value: Any, default: int = 0) -> int:
    """Return a whole number, which protobuf's JSON may write as text."""
    if isinstance(value, int):
        return int(value)
    # Python needs quadratic time for a text of many digits, and refuses one of thousands.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004
        return int(value)
    return default


def object_of(value: Any) -> Frame:
    """Return an object, empty where the value is not one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Return a list, empty where the value is not one."""
    return value if isinstance(value, list) else []


def objects_of(value: Any) -> list[Frame]:
    """Return the objects of a list."""
    return [item for item in list_of(value) if isinstance(item, dict)]


def json_of(text: Any) -> Any:
    """Return the value that a JSON text holds; the text itself where it is not JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def embedded_json(text: str) -> Any:
    """Return the object or list that a text holds as JSON, None if it holds neither."""
    if not text or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_HALF = re.compile("[\ud800-\udfff]")


def dump_json(value: Any, *, ascii_only: bool = False, **options: Any) -> str:
    """Write JSON that UTF-8 can hold: half of a surrogate pair becomes an escape sequence.

    Models and tools send such halves, in texts that were cut in the middle of an emoji. JSON can
    hold them as escape sequences only. All text that the package stores goes through here.

    Args:
        value: The data.
        ascii_only: Whether all other characters beyond ASCII become escape sequences, too.
        options: Further options of `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, **options)
    if text.isascii():
        return text
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def dump_like(text: str, data: Any, changed: Any) -> str:
    """Write changed JSON data in the style of the text that the data came from."""
    bare = text.strip()
    before, _, after = text.partition(bare)
    for separators, ascii_only in product(((",", ":"), (", ", ": ")), (False, True)):
        if json.dumps(data, separators=separators, ensure_ascii=ascii_only) == bare:
            written = dump_json(changed, separators=separators, ascii_only=ascii_only)
            break
    else:
        written = dump_json(changed, ascii_only=bare.isascii())
    return f"{before}{written}{after}"


def arguments_of(call: Frame) -> Frame:
    """Return the arguments of a tool call, as an object."""
    written = call.get(ARGUMENTS_JSON)
    found = json_of(written) if written else _unwrapped(call.get(ARGUMENTS))
    if isinstance(found, dict):
        return found
    return {} if found is None or found == "" else {"": found}


def runs_tool(body: Frame) -> bool:
    """Return whether a step runs a tool of the harness."""
    return MCP_TOOL in body or not BUILTIN_TOOLS.keys().isdisjoint(body)


def builtin_of(body: Frame) -> tuple[str, Frame] | None:
    """Return the built-in tool that a step runs and its arguments, None if it runs none.

    Names of arguments are those of the SDK (`file_path`), and paths are plain paths.
    """
    for key, tool in BUILTIN_TOOLS.items():
        if key in body:
            return tool, {
                name: _plain_path(value) if name in PATH_ARGUMENTS else _snake_keys(value)
                for name, value in (
                    (_snake(name), value) for name, value in object_of(body[key]).items()
                )
            }
    return None


def response_of(body: Frame) -> Any:
    """Return the value that a host tool returned, as the model sees it."""
    written = body.get(RESPONSE_JSON)
    value = json_of(written) if written is not None else _unwrapped(body.get(RESPONSE))
    if isinstance(value, dict) and value.keys() == {"result"}:
        value = value["result"]  # the SDK wraps values that are not objects
    media = [
        {_snake(name): item for name, item in each.items()}
        for each in objects_of(body.get(SUPPLEMENTAL_MEDIA))
    ]
    return {"result": value, "media": media} if media else value


def _unwrapped(value: Any) -> Any:
    """Return the value of a protobuf `Struct`, which the SDK writes as a list of fields."""
    if not isinstance(value, dict):
        return value
    fields = value.get("fields")
    if value.keys() == {"fields"} and isinstance(fields, list):
        return {
            text_of(field.get(NAME)): _unwrapped_value(field.get("value"))
            for field in objects_of(fields)
        }
    return value


def _unwrapped_value(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return None
    kind, inner = next(iter(value.items()))
    if kind == STRUCT_VALUE:
        return _unwrapped(inner)
    if kind == LIST_VALUE:
        return [_unwrapped_value(item) for item in list_of(object_of(inner).get("values"))]
    return None if kind == NULL_VALUE else inner


def bytes_of(data: Any) -> bytes:
    """Return bytes, which JSON holds as base64."""
    try:
        return base64.b64decode(text_of(data))
    except (ValueError, binascii.Error):
        return b""


_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower() if any(map(str.isupper, name)) else name


def _snake_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_snake(str(key)): _snake_keys(item) for key, item in value.items()}
    return [_snake_keys(item) for item in value] if isinstance(value, list) else value


def _plain_path(value: Any) -> Any:
    """Return the path in a file URI; other values are unchanged."""
    if not isinstance(value, str) or "://" not in value:
        return value
    scheme, _, rest = value.partition("://")
    if scheme == "file":
        if rest.startswith("{{"):  # a recording's mark for a folder
            return urllib.parse.unquote(rest)
        from urllib.request import url2pathname  # imports HTTP and mail, for few recordings

        return url2pathname(urllib.parse.urlparse(value).path)
    return f"/cns/{rest}" if scheme == "cns" else value
