"""JSON for every command, reply and event. Total and strict.

`decode(encode(message)) == message` for every message. Anything else raises one
`InvalidMessageError`, whose `field` is the path to the fault: an unknown field or type, a wrong or
out-of-range value, text that is not JSON, a value without a JSON form, or more than a hundred
levels of nesting.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeAlias, cast, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from agy_nb.errors import InvalidMessageError
from agy_nb.protocol.commands import Command
from agy_nb.protocol.events import AnyEvent
from agy_nb.protocol.replies import Reply
from agy_nb.protocol.values import JsonObject, Trajectory

Message: TypeAlias = "Command | Reply | AnyEvent"

_STRICT = ConfigDict(
    strict=True,
    extra="forbid",
    revalidate_instances="always",
    ser_json_bytes="base64",
    val_json_bytes="base64",
    ser_json_inf_nan="constants",
)


@cache
def _adapter(family: object) -> TypeAdapter[Message]:
    return TypeAdapter(cast("type[Message]", family), config=_STRICT)


_DEEPEST = 100
"""Lists and objects within each other; pydantic's own limits differ between reading and writing."""
_MOST_DIGITS = 4_000
"""Of a whole number; Python reads and writes no more than 4,300."""
_TOO_LARGE = 10**_MOST_DIGITS
_LONGEST_PATH = 60

_FAMILIES = {"command": Command, "reply": Reply, "event": AnyEvent}


def encode(message: Message) -> str:
    """Write a command, reply or event as one line of JSON.

    Args:
        message: Any message of the protocol.

    Returns:
        JSON text without a line break. `family` of the outer object says which family it is.

    Raises:
        InvalidMessageError: A value does not fit its field, e.g. a number that JSON cannot hold.

    Example:
        >>> from agy_nb.protocol.commands import IsIdle
        >>> encode(IsIdle(agent_id=1))
        '{"family":"command","message":{"agent_id":1,"type":"is_idle"}}'
    """
    family = _family_of(message)
    adapter = _adapter(_FAMILIES[family])
    try:
        _refuse_what_is_too_deep(message, message.type)
        adapter.validate_python(message)
        _refuse_what_json_cannot_hold(message, message.type)
        body = json.loads(adapter.dump_json(message, warnings="error"))
        return json.dumps(
            {"family": family, "message": body}, separators=(",", ":"), allow_nan=False
        )
    except ValidationError as error:
        raise _invalid(error, type(message).__name__) from None
    except ValueError as error:
        raise InvalidMessageError(
            f"{type(message).__name__} cannot be written as JSON: {error}"
        ) from None


def decode(text: str | bytes) -> Message:
    """Read what `encode` wrote.

    Args:
        text: One JSON object.

    Returns:
        The command, reply or event.

    Raises:
        InvalidMessageError: The text is not JSON, or not a message; `field` is the path to the
            wrong value.

    Example:
        >>> decode('{"family":"command","message":{"agent_id":1,"type":"is_idle"}}')
        IsIdle(agent_id=1)
    """
    try:
        outer = json.loads(text, object_pairs_hook=_without_repetition, parse_int=_whole_number)
    except (ValueError, RecursionError, TypeError) as error:
        raise InvalidMessageError(f"a protocol message must be JSON: {error}") from None
    if not isinstance(outer, dict) or set(outer) != {"family", "message"}:
        raise InvalidMessageError(
            "a protocol message must be a JSON object with the fields 'family' and 'message'",
            field="family",
        )
    family = outer["family"]
    if not isinstance(family, str) or family not in _FAMILIES:
        raise InvalidMessageError(
            f"family: must be one of {sorted(_FAMILIES)}, got {family!r}", field="family"
        )
    message = outer["message"]
    if not isinstance(message, dict):
        raise InvalidMessageError("message: must be a JSON object", field="message")
    kind = message.get("type")
    path = kind if isinstance(kind, str) else family
    _refuse_what_is_too_deep(message, path)
    _refuse_what_json_cannot_hold(message, path)
    try:
        return _adapter(_FAMILIES[family]).validate_json(json.dumps(message))
    except ValidationError as error:
        raise _invalid(error, family) from None


def note_of(event: AnyEvent) -> JsonObject:
    """Write a host note as the JSON object that a recording keeps; its moment is left out.

    What JSON cannot hold becomes text: a note is never refused.

    Args:
        event: The event.

    Returns:
        JSON data, to be read by `event_of`.
    """
    note: JsonObject = to_jsonable_python(
        event, fallback=str, inf_nan_mode="strings", bytes_mode="base64"
    )
    note.pop("at", None)
    if event.trajectory == Trajectory():
        note.pop("trajectory", None)
    return {name: value for name, value in note.items() if value is not None and value != {}}


def event_of(note: JsonObject, at: float) -> AnyEvent:
    """Read a host note that `note_of` wrote.

    Args:
        note: The JSON object.
        at: The event's moment, in seconds since the Unix epoch.

    Raises:
        InvalidMessageError: It is not a note.
    """
    try:
        text = json.dumps({**note, "at": at}, ensure_ascii=False)
        # The validator refuses half of a surrogate pair, which a tool's message may contain.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return cast("AnyEvent", _note_adapter().validate_json(text))
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        words = _invalid(error, "note") if isinstance(error, ValidationError) else error
        raise InvalidMessageError(f"a host note cannot be read: {words}") from None


@cache
def _note_adapter() -> TypeAdapter[Message]:
    # A note of a newer agy_nb may have more fields, and one that was redacted other values.
    return TypeAdapter(cast("type[Message]", AnyEvent), config=ConfigDict(extra="ignore"))


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; refuse two values for one key, as readers differ on them."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise InvalidMessageError(f"{twice}: appears twice in one object", field=twice)
    return found


def _whole_number(digits: str) -> int:
    """Return a number; cut one that is too long. It is refused later, where its path is known."""
    return int(digits[: _MOST_DIGITS + 2])


def _refuse_what_is_too_deep(value: object, path: str, room: int = _DEEPEST) -> None:
    if room < 0:
        where = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."
        msg = f"{where}: is nested deeper than {_DEEPEST} levels"
        raise InvalidMessageError(msg, field=where)
    for key, item in _items(value):
        _refuse_what_is_too_deep(item, f"{path}.{key}", room - 1)


def _items(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if is_dataclass(value):
        return ((each.name, getattr(value, each.name)) for each in fields(value))
    return ()


def _refuse_what_json_cannot_hold(value: object, path: str) -> None:
    """Name the field that holds a number or a text that JSON has no form for."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidMessageError(f"{path}: {value!r} is not a JSON number", field=path)
    if isinstance(value, int) and abs(value) >= _TOO_LARGE:
        msg = f"{path}: a number must have at most {_MOST_DIGITS} digits"
        raise InvalidMessageError(msg, field=path)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            msg = f"{path}: text must not contain a lone surrogate"
            raise InvalidMessageError(msg, field=path) from None
    for key, item in _items(value):
        _refuse_what_json_cannot_hold(key, path)
        _refuse_what_json_cannot_hold(item, f"{path}.{key}")


def _family_of(message: object) -> str:
    family = _families_by_class().get(type(message))
    if family is None:
        raise InvalidMessageError(f"{message!r} is not a command, reply or event of the protocol")
    return family


@cache
def _families_by_class() -> dict[type, str]:
    return {
        cls: family
        for family, members in _FAMILIES.items()
        for cls in get_args(get_args(members)[0])
    }


def _invalid(error: ValidationError, what: str) -> InvalidMessageError:
    first = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(step) for step in first["loc"])
    if first["type"].startswith("union_tag"):
        path = f"{path}.type".lstrip(".")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return InvalidMessageError(f"{what}: {path}: {first['msg']}{more}", field=path)
