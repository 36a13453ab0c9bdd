"""Convert the JSON body of a request to data with references to shared texts, and back.

The instructions and tool declarations of a request are the same in most requests of a program.
They are replaced by references, so that a cassette holds the rest:

```yaml
json:
  contents: [{parts: [{text: Hello}], role: user}]
  systemInstruction:
    parts:
    - text:
        $text:
        - $shared: identity-3f9a1c0244d81b6e.txt
        - 'Conversation ID: 2ef82ff8f3d91858daed6edbbc8ab008'
  tools:
  - functionDeclarations:
    - $shared: view_file-91b6e1c0244d83f9.json
```

Rule 1: expanding gives exactly the text that was recorded. A body for which this is not certain
stays a text.
Rule 2: a conversation's own messages are not shared, because other cassettes do not repeat them.
Rule 3: lines with ids, times and placeholders of folders stay beside the shared parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from agy_nb.cassette.storage.safe_json import parse_json

Compact: TypeAlias = dict[str, Any]
"""A body as data: `json` is the value, `style` how its text is written, `end` what follows it."""

Put: TypeAlias = Callable[[str, str], str]
"""Stores a shared content, and returns its name. Takes a hint and the content."""

SHARED = "$shared"
"""Key of a reference to a shared content."""
TEXT = "$text"
"""Key of a text in parts, of which some are references."""

_MESSAGES = frozenset({"contents", "messages", "input"})
_SHARED_ROLES = frozenset({"system", "developer"})
_LONG_TEXT = 512
"""Characters from which a text is worth a file of its own."""
_LONG_PART = 256
"""Characters from which a part of a long text is."""
_LONG_OBJECT = 200
"""Characters of JSON from which an object is."""
_SECTION = 1_000
"""Characters after which a part ends before the next section of a text."""
_PARAGRAPH = 2_000
"""Characters after which a part ends before the next paragraph."""
_OWN = re.compile(
    r"(?i)\{\{agy:|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-|\d{4}-\d\d-\d\dT\d\d:\d\d"
)
"""What a line of one session holds: ids, times, placeholders."""
_SECTION_START = re.compile(r"<[\w-]+>|#{1,3} ")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HTML = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def _go_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _HTML.items():  # much faster than `str.translate`
        text = text.replace(character, escaped)
    return text


_STYLES: dict[str, Callable[[Any], str]] = {
    "spaced": json.dumps,
    "compact": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "go": _go_json,
    "compact ascii": lambda value: json.dumps(value, separators=(",", ":")),
    "spaced unicode": lambda value: json.dumps(value, ensure_ascii=False),
}
"""How programs write JSON; `go` is the encoder of Go, which escapes HTML."""


def compacted(body: str, put: Put | None, known: dict[str, Any] | None = None) -> Compact | None:
    """Return a body as data.

    Args:
        body: The text of the body.
        put: Stores what other cassettes may repeat; None to keep everything in the data.
        known: The members of earlier bodies with their references, by their JSON. More are added.

    Returns:
        The data, None if the body must stay a text.
    """
    if not body.startswith("{") or f'"{SHARED}"' in body or f'"{TEXT}"' in body:
        return None
    try:
        value = parse_json(body)
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:  # includes characters that UTF-8 cannot hold
        return None
    text = body.rstrip()
    # The only proof that a style is right is to write the value and compare: number spellings, key
    # order and escapes of other programs have too many cases to be recognised.
    style = next((name for name, write in _STYLES.items() if write(value) == text), None)
    if style is None:
        return None
    compact: Compact = {} if style == "spaced" else {"style": style}
    if end := body[len(text) :]:
        compact["end"] = end
    if put is not None:
        value = _with_references(value, put, {} if known is None else known)
    return compact | {"json": value}


def expanded(compact: Compact, get: Callable[[str], str]) -> str:
    """Return the text of a body.

    Args:
        compact: The data, as `compacted` returns them.
        get: Returns the content of a shared text by its name.

    Raises:
        ValueError: The data are damaged.
    """
    style, end = compact.get("style", "spaced"), compact.get("end", "")
    if "json" not in compact or style not in _STYLES or not isinstance(end, str):
        raise ValueError("it must have `json`, and may have `end`, and `style` with one of "
                         f"{', '.join(_STYLES)}")  # fmt: skip
    return _STYLES[style](_without_references(compact["json"], get)) + end


def _with_references(value: dict[str, Any], put: Put, known: dict[str, Any]) -> dict[str, Any]:
    """Replace the long contents of a request, except for those of its conversation."""
    found = {}
    for name, item in value.items():
        if name in _MESSAGES:
            found[name] = _messages(item, put)
            continue
        text = json.dumps(item)
        if text not in known:
            known[text] = _shared(item, put)
        found[name] = known[text]
    return found


def _messages(value: Any, put: Put) -> Any:
    if not isinstance(value, list):
        return value
    return [
        _shared(item, put, whole=False)
        if isinstance(item, dict) and item.get("role") in _SHARED_ROLES
        else item
        for item in value
    ]


def _shared(value: Any, put: Put, *, whole: bool = True) -> Any:
    match value:
        case str() if len(value) >= _LONG_TEXT and "\r" not in value:
            parts = list(_parts(value, put))
            return value if all(isinstance(part, str) for part in parts) else {TEXT: parts}
        case dict():
            return {key: _shared(item, put) for key, item in value.items()}
        case list():
            return [_object(item, put) if whole else _shared(item, put) for item in value]
    return value


def _object(value: Any, put: Put) -> Any:
    """Share an item of a list as a whole, e.g. the declaration of a tool."""
    if not isinstance(value, dict) or not _names(value):
        return _shared(value, put)
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    if len(text) < _LONG_OBJECT:
        return value
    return {SHARED: put(f"{_names(value)}.json", text)}


def _names(value: dict[str, Any]) -> str:
    """Return the name of a tool's declaration; empty for another object."""
    function = value.get("function")
    name = (function if isinstance(function, dict) else value).get("name")
    return name if isinstance(name, str) else ""


def _parts(text: str, put: Put) -> Iterator[str | dict[str, str]]:
    own = ""
    for part in _split(text):
        if len(part) < _LONG_PART or _OWN.search(part):
            own += part
            continue
        if own:
            yield own
        own = ""
        yield {SHARED: put(f"{_hint(part)}.txt", part)}
    if own:
        yield own


def _split(text: str) -> Iterator[str]:
    """Split a text before and after lines of one session, and between sections."""
    part, blank = "", False
    for line in _LINE.findall(text):
        own = bool(_OWN.search(line))
        ends = (len(part) >= _SECTION and _SECTION_START.match(line)) or (
            len(part) >= _PARAGRAPH and blank
        )
        if part and (own or ends):
            yield part
            part = ""
        if own:
            yield line
        else:
            part += line
        blank = line == "\n"
    if part:
        yield part


def _hint(text: str) -> str:
    words = re.findall(r"[a-z]+", text[:80].lower())
    return "-".join(words[:3])


def _without_references(value: Any, get: Callable[[str], str]) -> Any:
    match value:
        case {"$shared": str(name), **rest} if not rest:
            content = get(name)
            return parse_json(content) if name.endswith(".json") else content
        case {"$text": list(parts), **rest} if not rest:
            return "".join(str(_without_references(part, get)) for part in parts)
        case dict():
            return {key: _without_references(item, get) for key, item in value.items()}
        case list():
            return [_without_references(item, get) for item in value]
    return value
