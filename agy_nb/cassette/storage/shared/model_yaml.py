"""Read and write `model.yaml`: vcrpy's format, with the bodies as data.

Values that requests of one file repeat, such as the earlier messages of a conversation, are written
once and repeated as aliases of YAML. Values that the requests of other cassettes repeat are in
`shared_texts`. A text of several lines is a block of lines, so that git shows which line changed.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.http.response_fields import CHUNKS
from agy_nb.cassette.storage.atomic_replace import write_file
from agy_nb.cassette.storage.safe_files import LARGEST_FILE
from agy_nb.cassette.storage.shared.compact_bodies import SHARED, compacted, expanded
from agy_nb.cassette.storage.shared.compact_streams import (
    compacted_chunks,
    compacted_events,
    expanded_chunks,
    expanded_events,
)
from agy_nb.cassette.storage.shared.shared_texts import SharedTexts, turn
from agy_nb.cassette.storage.shared.vcr_file import (
    VCR_VERSION,
    Interaction,
    checked,
    in_utf8,
    interactions_in,
    write_vcr,
    yaml_serializer,
)

_WORTH_AN_ALIAS = 80
"""Characters from which a repeated value becomes an alias."""
_WIDTH = 2**20
"""Longest line before YAML breaks it: one line per value, so that git compares values."""


def read_model_yaml(file: Path) -> list[Interaction]:
    """Read `model.yaml`, with the bodies as they were recorded.

    Raises:
        CassetteInvalidError: The file is damaged, or a shared text is missing.
    """
    found = interactions_in(file)
    texts = SharedTexts(file.parent)
    sizes = _Sizes(texts)
    return checked(file, [_expanded(item, texts, sizes, file) for item in found])


def write_model_yaml(file: Path, interactions: list[Interaction], *, share: bool = True) -> None:
    """Write `model.yaml` atomically, and before it the texts that it shares.

    Args:
        file: The file, in the folder of a cassette or of a recording beside it.
        interactions: The exchanges.
        share: Whether to share texts with the cassettes beside this one.

    Raises:
        TimeoutError: Another process has used the shared texts for a minute.
        OSError: A file cannot be written; an older one is unchanged.
    """
    texts = SharedTexts(file.parent)
    if not share or not texts.usable:
        _write(file, interactions, None)
        return
    with turn(file.parent):
        _write(file, interactions, texts)


def _write(file: Path, interactions: list[Interaction], texts: SharedTexts | None) -> None:
    found = [in_utf8(made) for made in interactions]
    repeated = _Repeated()
    known: dict[str, Any] = {}
    data = {
        "interactions": [_compacted(made, texts, repeated, known) for made in found],
        "version": VCR_VERSION,
    }
    text = to_yaml(data)
    if _from_yaml(text) == data:
        write_file(file, text.encode())
    else:  # a text that YAML does not write as a block of lines
        write_vcr(file, interactions)


def _compacted(
    made: Interaction, texts: SharedTexts | None, repeated: _Repeated, known: dict[str, Any]
) -> Interaction:
    request, response = made["request"], made["response"]
    body, put = request.get("body"), texts.put if texts else None
    compact = compacted(body, put, known) if isinstance(body, str) else None
    changed = {"headers": repeated.value(request.get("headers"))}
    if compact is not None:
        changed["body"] = repeated.value(compact)
    return made | {"request": request | changed, "response": _compacted_response(response)}


def _compacted_response(response: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if isinstance(chunks := response.get(CHUNKS), list):
        changed[CHUNKS] = compacted_chunks(chunks)
    match response.get("body"):
        case {"string": str(text), **rest} if not rest and (events := compacted_events(text)):
            changed["body"] = {"events": events}
    return response | changed


def _expanded(item: Any, texts: SharedTexts, sizes: _Sizes, file: Path) -> Any:
    if not isinstance(item, dict):
        return item
    request, response = item.get("request"), item.get("response")
    changed: dict[str, Any] = {}
    what = "response"
    try:
        if isinstance(response, dict):
            changed["response"] = expanded_response(response, sizes.room)
            sizes.add(changed["response"])
        what = "request"
        if isinstance(request, dict) and isinstance(body := request.get("body"), dict):
            sizes.check(body)
            changed["request"] = request | {"body": expanded(body, texts.get)}
    except CassetteInvalidError:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise CassetteInvalidError(
            f"{file} cannot be read: the body of a {what}: {error}", path=str(file.parent)
        ) from error
    return item | changed


def expanded_response(response: dict[str, Any], most: int = LARGEST_FILE) -> dict[str, Any]:
    """Return a response of `model.yaml` as it was recorded.

    Args:
        response: The response.
        most: Most characters of its events.

    Raises:
        ValueError: It is damaged.
    """
    changed: dict[str, Any] = {}
    if isinstance(chunks := response.get(CHUNKS), str):
        changed[CHUNKS] = expanded_chunks(chunks)
    match response.get("body"):
        case {"events": events, **rest} if not rest:
            changed["body"] = {"string": "".join(expanded_events(events, most))}
    return response | changed


class _Sizes:
    """Refuses bodies that would exceed any memory, because aliases and references repeat."""

    def __init__(self, texts: SharedTexts) -> None:
        self._texts = texts
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []  # keeps the ids of `_known` valid
        self._total = 0

    def check(self, body: Any) -> None:
        """Add a body.

        Raises:
            ValueError: All bodies together are too large.
        """
        self._total += self._size(body)
        if self._total > LARGEST_FILE:
            raise ValueError(f"the bodies expand to more than {LARGEST_FILE >> 20} MB")

    @property
    def room(self) -> int:
        """Return how many characters may still be added."""
        return LARGEST_FILE - self._total

    def add(self, response: dict[str, Any]) -> None:
        """Add a response, of which `room` has limited the size."""
        body = response.get("body")
        text = body.get("string") if isinstance(body, dict) else None
        self._total += len(text) if isinstance(text, str) else 0

    def _size(self, value: Any) -> int:
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in self._known:
            self._kept.append(value)
            below = list(value.values()) if isinstance(value, dict) else value
            size = 2 + sum(map(self._size, below))
            if isinstance(value, dict) and isinstance(name := value.get(SHARED), str):
                size += self._texts.size_of(name)
            self._known[id(value)] = size
        return self._known[id(value)]


class _Repeated:
    """Makes equal long values one object, which YAML writes once."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def value(self, value: Any) -> Any:
        """Return an equal value, which is an earlier object where one is equal."""
        return self._value(value)[0]

    def _value(self, value: Any) -> tuple[Any, str]:
        """Return the value and its JSON. The first equal object stands for a long JSON."""
        match value:
            case dict():
                pairs = {key: self._value(item) for key, item in value.items()}
                fresh: Any = {key: item for key, (item, _) in pairs.items()}
                key = "{" + ",".join(f"{json.dumps(k)}:{of}" for k, (_, of) in pairs.items()) + "}"
            case list():
                items = [self._value(item) for item in value]
                fresh, key = [item for item, _ in items], f"[{','.join(of for _, of in items)}]"
            case _:
                return value, json.dumps(value)
        if len(key) < _WORTH_AN_ALIAS:
            return fresh, key
        known = self._known.setdefault(key, fresh)
        # Keys would otherwise grow with the square of the depth. As long as an alias is worth it,
        # so that the object around it is one, too. `_known` keeps the object, so its id stays its
        # own.
        return known, f"<{id(known)}>".rjust(_WORTH_AN_ALIAS)


def to_yaml(data: Any) -> str:
    """Return data as YAML, with one line per value and texts of several lines as blocks."""
    import yaml

    return str(yaml.dump(data, Dumper=_dumper(), allow_unicode=True, width=_WIDTH, sort_keys=False))


def _from_yaml(text: str) -> Any:
    return yaml_serializer().deserialize(text)


@lru_cache
def _dumper() -> Any:
    """Return a dumper of YAML that writes texts of several lines as blocks of lines."""
    import yaml

    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value.rstrip("\n") else '"' if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    dumper: Any = type("ModelDumper", (base,), {})
    dumper.add_representer(str, text)
    return dumper
