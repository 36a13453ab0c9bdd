r"""Store what the events of a streamed response repeat once, and put it back.

A model streams an answer as events that differ in a few values. `model.yaml` holds the first such
event as text, and of the next ones the values that differ from the event before, as JSON by their
position among the values of the event:

```yaml
events:
- "data: {\"text\": \"It \", \"id\": 7}\n\n"
- 0: '"is "'
- 0: '"sunny."'
```

Rule: expanding gives exactly the text that was recorded. A response for which this is not certain
stays a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agy_nb.cassette.storage.safe_files import LARGEST_FILE

_END = re.compile(r"(\r?\n\r?\n)")
_VALUE = re.compile(
    r'"(?:[^"\\]++|\\.)*+"\s*:|("(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|-?\d[\d.eE+-]*+)', re.DOTALL
)
"""A key of a JSON object, or a value in the group. A text without an end goes to the end."""
_FIRST = ("data:", "event:", ":")
"""How a stream of events begins."""


def compacted_events(text: str) -> list[str | dict[int, str]] | None:
    """Return a streamed response as data, None if it must stay a text."""
    if not text.startswith(_FIRST):
        return None
    found: list[str | dict[int, str]] = []
    before, values_before = [""], [""]
    parts = [*_END.split(text), ""]
    for event in filter(None, map(str.__add__, parts[::2], parts[1::2])):
        rest, values = _split(event)
        if rest == before:
            pairs = enumerate(zip(values_before, values, strict=True))
            found.append({at: value for at, (old, value) in pairs if value != old})
        else:
            found.append(event)
        before, values_before = rest, values
    try:
        is_same = "".join(expanded_events(found)) == text
    except ValueError:
        return None
    return found if is_same and any(isinstance(item, dict) for item in found) else None


def expanded_events(events: Any, most: int = LARGEST_FILE) -> Iterator[str]:
    """Return the events of a streamed response as texts.

    Args:
        events: The data, as `compacted_events` returns them.
        most: Most characters of all events.

    Raises:
        ValueError: The data are damaged, or expand to too much.
    """
    if not isinstance(events, list):
        raise ValueError(f"`events` must be a list, got {events!r:.60}")  # noqa: TRY004
    rest, values, size = [""], list[str](), 0
    for number, item in enumerate(events, start=1):
        if isinstance(item, str):
            event = item
            rest, values = _split(event)
        elif isinstance(item, dict):
            for at, value in item.items():
                if type(at) is not int or not 0 <= at < len(values) or not isinstance(value, str):
                    raise ValueError(
                        f"event {number} changes a value that is not there: {at!r:.60}"
                    )
                values[at] = value
            event = rest[0] + "".join(
                value + part for value, part in zip(values, rest[1:], strict=True)
            )
        else:
            raise ValueError(f"event {number} must be a text or changed values, got {item!r:.60}")  # noqa: TRY004
        size += len(event)
        if size > most:
            raise ValueError(f"the events expand to more than {most >> 20} MB")
        yield event


def _split(event: str) -> tuple[list[str], list[str]]:
    """Return the texts between the values of an event, and the values."""
    rest, values, end = list[str](), list[str](), 0
    for match in _VALUE.finditer(event):
        if match[1] is not None:
            rest.append(event[end : match.start(1)])
            values.append(match[1])
            end = match.end(1)
    return [*rest, event[end:]], values


def compacted_chunks(chunks: Any) -> Any:
    """Return the sizes and times of the chunks of a response as one text, if that is exact."""
    try:
        text = " ".join(f"{size} {seconds!r}" for size, seconds in chunks)
        return text if text and repr(expanded_chunks(text)) == repr(chunks) else chunks
    except (TypeError, ValueError):
        return chunks


def expanded_chunks(text: str) -> list[list[int | float]]:
    """Return the sizes and times of the chunks of a response.

    Raises:
        ValueError: The text is damaged.
    """
    numbers: list[int | float] = [
        int(word) if word.isdecimal() else float(word) for word in text.split()
    ]
    if len(numbers) % 2:
        raise ValueError("the chunks must be pairs of a size and a time in seconds")
    return [numbers[at : at + 2] for at in range(0, len(numbers), 2)]
