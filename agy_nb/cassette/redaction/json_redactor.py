"""Redact JSON: the values under names of secrets, and every text, also JSON within a text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agy_nb.cassette.redaction.rules.field_names import Strength, harmless_header, strength
from agy_nb.cassette.redaction.rules.value_shapes import is_learnable, is_random, is_sentence
from agy_nb.cassette.redaction.split_text import mark
from agy_nb.cassette.redaction.text_redactor import TextRedactor
from agy_nb.wire.frames import MIME_TYPE, STRING_VALUE
from agy_nb.wire.json_values import dump_like, embedded_json
from agy_nb.wire.path_map import MARK, MARK_START

_SECRET_MAPS = {"headers", "httpheaders", "http_headers"}
_ENVIRONMENTS = {"env", "environ", "environment"}
_DEPTH = 60
_SCHEMA_TYPES = frozenset({"string", "object", "array", "number", "integer", "boolean", "null"})
_VALUES_OF_SCHEMAS = frozenset({"default", "const", "example", "examples"})
_MEDIA = re.compile(r"(?i)(?:image|audio|video|font)/|application/(?:pdf|octet-stream|zip)")
_MEDIA_DATA = frozenset({"data", "content", "bytes", "base64"})
_MEDIA_MARK = mark("media")


@dataclass(slots=True)
class JsonRedactor:
    """Walks JSON values and removes secrets.

    A value under a secret's name is removed, and learned, so that it is removed everywhere else.

    Attributes:
        keeps_media: Whether pictures, sound and other media stay.
        trusted: Texts that are known to be clean, as objects.
    """

    _texts: TextRedactor
    keeps_media: bool
    trusted: tuple[str, ...] = ()

    def trusts(self, text: str) -> bool:
        """Return whether this very object is known to be clean."""
        return bool(self.trusted) and any(text is known for known in self.trusted)

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets; the one given is not changed."""
        return self._walk(value, "", 0)

    def text(self, text: str) -> str:
        """Return a text without secrets; names of fields count in a text that is JSON."""
        if self.trusts(text):
            return text
        inner = embedded_json(text)
        if inner is not None:
            try:
                cleaned = self._walk(inner, "", 0)
            except RecursionError:  # the limit of `_walk` begins again in each text within a text
                return self._texts.blank("secret")
            if cleaned != inner:
                text = dump_like(text, inner, cleaned)
        return self._texts.text(text)

    def _walk(self, value: Any, name: str, depth: int) -> Any:
        if depth > _DEPTH:
            return self._texts.blank("secret")  # no known client sends this; better safe
        if isinstance(value, str):
            return self.text(value) if depth < _DEPTH // 2 else self._texts.text(value)
        if isinstance(value, dict):
            return self._walk_object(value, name, depth)
        if isinstance(value, list):
            return self._walk_list(value, name, depth)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._texts.number(value)
        return value

    def _walk_object(self, value: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        kind = name.lower()
        media = not self.keeps_media and _is_media(value)
        kept = {}
        for key, item in value.items():
            if media and key in _MEDIA_DATA and _is_longer_than_mark(item):
                kept[key] = self._texts.blank("media")
                continue
            # Both keys count. A key may lose the word that made it a secret's name, and a second
            # look sees the clean key only.
            clean_key = self._texts.text(key)
            power = max(_strength(key), _strength(clean_key))
            if (kind in _SECRET_MAPS and not harmless_header(key)) or (
                kind in _ENVIRONMENTS and isinstance(item, str)
            ):
                power = max(power, Strength.STRONG)
            kept[_free(clean_key, kept)] = self._under(key, item, power, depth)
        named = value.get("name", value.get("key"))
        if isinstance(named, str) and _holds_value(value.get("value")) and _strength(named):
            kept["value"] = self._under(named, value["value"], _strength(named), depth)
        return kept

    def _under(self, name: str, item: Any, power: Strength, depth: int) -> Any:
        """Return the value under a name without secrets."""
        if power is Strength.NONE:
            return self._walk(item, name, depth + 1)
        if isinstance(item, dict) and _is_schema(item):
            return {
                key: self._take_out(inner)
                if key in _VALUES_OF_SCHEMAS
                else self._walk(inner, key, depth + 1)
                for key, inner in item.items()
            }
        if power is Strength.WEAK:  # `signature`, `auth`: names that programs and texts have, too
            if isinstance(item, str) and is_random(item) and " " not in item:
                return self._take_out(item)
            return self._walk(item, name, depth + 1)
        return self._take_out(item)

    def _walk_list(self, value: list[Any], name: str, depth: int) -> list[Any]:
        kept, secret_next = [], False
        for item in value:
            if secret_next and isinstance(item, str):
                kept.append(self._take_out(item))
                secret_next = False
                continue
            secret_next = (
                isinstance(item, str)
                and item.startswith("-")
                and "=" not in item
                and _strength(item.lstrip("-")) > Strength.NONE
            )
            kept.append(self._walk(item, name, depth + 1))
        return kept

    def _take_out(self, value: Any) -> Any:
        """Remove everything under a secret's name."""
        if isinstance(value, dict):
            kept: dict[str, Any] = {}
            for key, item in value.items():
                kept[_free(self._texts.text(key), kept)] = self._take_out(item)
            return kept
        if isinstance(value, list):
            return [self._take_out(item) for item in value]
        if isinstance(value, str) and value and not MARK.fullmatch(value):
            if self._texts.allows(value):
                return value
            # A value that is learned vanishes from all texts of the recording, so a common word
            # must not be: under the name `password`, `default` is removed only here.
            if is_learnable(value) and not is_sentence(value):
                self._texts.learn((value,))
            return self._texts.blank("secret")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._texts.blank("secret")
        return value


def _is_longer_than_mark(item: Any) -> bool:
    return isinstance(item, str) and len(item) > len(_MEDIA_MARK)


def _holds_value(item: Any) -> bool:
    """Return whether a named value is text, as such or as protobuf writes it."""
    return isinstance(item, str) or (isinstance(item, dict) and item.keys() == {STRING_VALUE})


def _strength(name: str) -> Strength:
    """Return how likely a name holds a secret; the word `secret` in a mark is ignored."""
    return strength(MARK.sub("", name) if MARK_START in name else name)


def _free(key: str, taken: Mapping[str, Any]) -> str:
    """Return a key, with a number in its last mark if another key redacts alike."""
    free, number = key, 1
    while free in taken and (marks := list(MARK.finditer(key))):
        number += 1
        end = marks[-1].end() - 2
        free = f"{key[:end]}-{number}{key[end:]}"
    return free


def _is_schema(value: Mapping[str, Any]) -> bool:
    """Return whether an object describes a value and does not hold one."""
    kind = value.get("type")
    return (isinstance(kind, str) and kind.lower() in _SCHEMA_TYPES) or "$ref" in value


def _is_media(value: Mapping[str, Any]) -> bool:
    kind = value.get(MIME_TYPE, value.get("mime_type", value.get("media_type", "")))
    return isinstance(kind, str) and _MEDIA.match(kind) is not None
