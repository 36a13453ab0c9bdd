"""Redact everything that is written. On by default, in one place: the writer of the cassette.

Rule 1: fail closed. A value under a secret's name is always removed. Of headers
and environments only values that are known to be harmless stay.
Rule 2: a removed text leaves a mark, `{{agy:KIND}}`. A replay never replaces it by a value.
Rule 3: a folder of this machine leaves a mark that a replay replaces by its own machine's folder.
Rule 4: redacting twice gives the same as redacting once.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

from agy_nb.cassette.redaction.environment_values import Learner
from agy_nb.cassette.redaction.finder import find_secrets, replaced
from agy_nb.cassette.redaction.http.http_bodies import clean_body
from agy_nb.cassette.redaction.http.json_parts import JsonPart, parts_of
from agy_nb.cassette.redaction.known_values import KnownValues
from agy_nb.cassette.redaction.rules.field_names import (
    Strength,
    harmless_header,
    secret_values,
    strength,
)
from agy_nb.cassette.redaction.rules.value_shapes import is_learnable, is_random, is_sentence
from agy_nb.cassette.redaction.split_text import TextSpan, merged
from agy_nb.cassette.redaction.user_rules import RULE, Rule, UserRules
from agy_nb.cassette.storage.format import Frame, WireRecord
from agy_nb.wire.frames import MIME_TYPE, STRING_VALUE
from agy_nb.wire.json_values import dump_like, embedded_json
from agy_nb.wire.path_map import MARK, MARK_START, PathMap
from agy_nb.wire.stored.literal_marks import literal_value

_SECRET_MAPS = {"headers", "httpheaders", "http_headers"}
_ENVIRONMENTS = {"env", "environ", "environment"}
_DEPTH = 60
_REMEMBERED = 4000
_LONG = 1000
"""Characters from which a document is redacted in parts."""
_PASSES = 4
"""Times that a text is looked at again after something was taken out of it."""
_SCHEMA_TYPES = frozenset({"string", "object", "array", "number", "integer", "boolean", "null"})
_VALUES_OF_SCHEMAS = frozenset({"default", "const", "example", "examples"})
_MEDIA = re.compile(r"(?i)(?:image|audio|video|font)/|application/(?:pdf|octet-stream|zip)")
_MEDIA_DATA = frozenset({"data", "content", "bytes", "base64"})


def mark(kind: str) -> str:
    """Return the mark that replaces something removed."""
    return "{{agy:" + kind + "}}"


HOME, TEMP, SECRET, OS = mark("home"), mark("tmp"), mark("secret"), mark("os")
MEDIA = mark("media")
TEST_RUN, TEST_FOLDER = mark("basetemp"), mark("tmppath")
OWN_MARKS = frozenset({HOME, TEMP, OS, TEST_RUN, TEST_FOLDER})
"""Marks that a replay replaces by folders of its own machine; it keeps all others."""


def _holds_value(item: Any) -> bool:
    """Whether a named value is text, as such or as protobuf writes it."""
    return isinstance(item, str) or (isinstance(item, dict) and item.keys() == {STRING_VALUE})


class Redactor:
    """Takes secrets and folders of this machine out of frames.

    Learns as it goes: a key seen in a configuration is taken out wherever it turns up later.

    Args:
        rules: The user's rules, in addition to the built-in ones.
        environ: Whose secret-looking variables' values are taken out; the process's by default.
        places: Folders and their marks; home and the temporary folder by default.
        media: Whether pictures, sound and other media stay in the recording.
        allow: Texts, or expressions that match them whole, that stay although they look secret.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        environ: Mapping[str, str] | None = None,
        places: Mapping[str, str] | None = None,
        media: bool = True,
        allow: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.RLock()  # the journal's writer, the gateway and the loop redact
        self.rules: UserRules = UserRules(rules)
        self._seen: dict[str, str] = {}
        self._clean: dict[bytes, bool] = {}
        self._known = KnownValues()
        self._trusted: tuple[str, ...] = ()
        self._folders = places
        self._made_for: Mapping[str, str] = _test_folders
        self._media = media
        self._allow = tuple(allow)
        self._learn_unless_allowed(secret_values(os.environ if environ is None else environ))
        if environ is None:
            self._learner = Learner(self._learn_unless_allowed)

    @property
    def known(self) -> int:
        """How many values it looks for wherever they turn up."""
        return len(self._known)

    def trust(self, *texts: str) -> None:
        """Take these very objects for clean, until the next call."""
        self._trusted = texts

    def line(self, line: WireRecord) -> WireRecord:
        """A line fit to be written."""
        return WireRecord(line.session, line.direction, line.dt, self.frame(line.frame))

    def frame(self, frame: Frame) -> Frame:
        """A frame fit to be written; the one given is not changed."""
        with self._lock:
            return self._frame(frame)

    def live_frame(self, frame: Frame) -> Frame:
        """Redact a frame of a client as a recording would, with its literal texts escaped."""
        return self.frame(literal_value(frame))

    def _frame(self, frame: Frame) -> Frame:
        frame = self.rules.document(frame, self.counts)
        known = len(self._known)
        cleaned = self._walk(frame, "", 0)
        if len(self._known) > known:  # a key may stand before the place that names it one
            cleaned = self._walk(cleaned, "", 0)
        assert isinstance(cleaned, dict)
        return cleaned

    def text(self, text: str) -> str:
        """Redact a text, such as an HTTP body; JSON paths and functions apply to JSON in it."""
        with self._lock:
            return self._text(text, is_document=True)

    def _text(self, text: str, *, is_document: bool = False) -> str:
        for known in self._trusted:
            if text is known:
                return text
        if is_document:
            text = self.rules.document(text, self.counts)
            if self._is_clean_in_parts(text):
                return text
        inner = embedded_json(text)
        if inner is not None:
            cleaned = self._walk(inner, "", 0)
            if cleaned != inner:
                text = dump_like(text, inner, cleaned)
        return self._plain(text)

    def _is_clean_in_parts(self, text: str) -> bool:
        """Whether a JSON document consists of parts without secrets, nearly all of them known.

        If not, the document is redacted as a whole.
        """
        if len(text) < _LONG or text[0] != "{" or self.rules.has_patterns:
            return False
        if (found := parts_of(text)) is None or _is_named_value(found.names):
            return False
        known, counts = len(self._known), self.counts.copy()
        parts = ((part.key, partial(self._is_part, part)) for part in found.parts)
        joints = ((text, partial(self._is_joint, text)) for text in found.joints)
        clean = all(self._remembered(text, look) for text, look in chain(parts, joints))
        if clean and len(self._known) == known:
            return True
        self.counts.clear()
        self.counts.update(counts)
        return False

    def _remembered(self, text: str, look: Callable[[], bool]) -> bool:
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if (clean := self._clean.get(key)) is None:
            clean = look()
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean[key] = clean
        return clean

    def _is_part(self, part: JsonPart) -> bool:
        is_clean = all(self._walk(value, "", 0) == value for value in part.values)
        return is_clean and not self._spans(part.text)

    def _is_joint(self, joint: str) -> bool:
        """Whether no secret is where two parts meet; half a word at an end may look like one."""
        return all(span.start == 0 or span.end == len(joint) for span in self._spans(joint))

    def spans(self, text: str) -> list[TextSpan]:
        """Find the parts to remove from a text that comes in pieces, in order."""
        with self._lock:
            return self._spans(text)

    def _spans(self, text: str) -> list[TextSpan]:
        found = find_secrets(text, known=self._known.find if len(self._known) else None)
        found += self.rules.spans(text)
        found += [TextSpan(*place, secret=False) for place in self._places.replacements(text)]
        return merged(
            span
            for span in found
            if span.start < span.end
            and not MARK.fullmatch(text, span.start, span.end)
            and not (span.secret and self._allows(text[span.start : span.end]))
        )

    def body(
        self, body: bytes, *, encoding: str = "", text: Callable[[str], str] | None = None
    ) -> bytes:
        """Give a body of HTTP that is fit to be written.

        Args:
            body: As it came.
            encoding: Its `Content-Encoding`.
            text: Gives a text fit to be written; the redactor's own by default.
        """
        return clean_body(body, text or self.text, encoding=encoding, media=self._media)

    def _allows(self, value: str) -> bool:
        return any(
            value == allowed if isinstance(allowed, str) else allowed.fullmatch(value) is not None
            for allowed in self._allow
        )

    def warm_up(self) -> None:
        """Look up this machine's folders now. Reads the disk; otherwise the first use does."""
        _ = self._places

    # -- how ---------------------------------------------------------------------------------

    @property
    def _places(self) -> PathMap:
        if self._folders is None and self._made_for is not _test_folders:
            self.__dict__.pop("_path_map", None)
            self._forget()
            self._made_for = _test_folders
        return self._path_map

    @cached_property
    def _path_map(self) -> PathMap:
        folders = local_places() if self._folders is None else self._folders
        marks: dict[str, str] = {}
        for place, folder in folders.items():
            marks.setdefault(folder, place)
            if Path(folder).is_absolute():
                marks.setdefault(os.path.realpath(folder), place)
        return PathMap(marks)

    def learn(self, *values: str) -> None:
        """Take these values out wherever they turn up from now on."""
        if self._known.add(values):
            self._forget()

    def _forget(self) -> None:
        self._seen.clear()
        self._clean.clear()

    def _learn_unless_allowed(self, values: Iterable[str]) -> None:
        with self._lock:
            self.learn(*(value for value in values if not self._allows(value)))

    def _walk(self, value: Any, name: str, depth: int) -> Any:
        if depth > _DEPTH:
            return self._blank("secret")  # no known client sends this; better safe
        if isinstance(value, str):
            return self._text(value) if depth < _DEPTH // 2 else self._plain(value)
        if isinstance(value, dict):
            return self._walk_object(value, name, depth)
        if isinstance(value, list):
            return self._walk_list(value, name, depth)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(value)
        return value

    def _walk_object(self, value: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        kind = name.lower()
        media = not self._media and _is_media(value)
        kept = {}
        for key, item in value.items():
            if media and key in _MEDIA_DATA and isinstance(item, str) and len(item) > len(MEDIA):
                kept[key] = self._blank("media")
                continue
            clean_key = self._plain(key)
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
                kept[_free(self._plain(key), kept)] = self._take_out(item)
            return kept
        if isinstance(value, list):
            return [self._take_out(item) for item in value]
        if isinstance(value, str) and value and not MARK.fullmatch(value):
            if self._allow and self._allows(value):
                return value
            if is_learnable(value) and not is_sentence(value):
                self.learn(value)
            return self._blank("secret")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._blank("secret")
        return value

    def _blank(self, kind: str) -> str:
        self.counts[kind] += 1
        return mark(kind)

    def _number(self, value: float) -> Any:
        if len(self._known) and repr(value) in self._known:
            return self._blank("secret")
        return self._blank("rule") if self.rules.spans(repr(value)) else value

    def _plain(self, text: str) -> str:
        """A text without secrets; names of fields come again and again, and system prompts."""
        known = self._seen.get(text)
        if known is not None:
            return known
        clean, found = text, True
        for _ in range(_PASSES):  # the rest may look like a secret beside a mark
            if not (spans := self._spans(clean)):
                found = clean != text
                break
            for span in spans:  # each removal is counted
                kind = "secret" if span.secret and span.mark != RULE else span.mark[6:-2]
                self.counts[kind] += 1
            clean = replaced(clean, spans)
        if not found:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[text] = clean
        return clean


def _strength(name: str) -> Strength:
    """What a name says about its value; the word `secret` in a mark says nothing."""
    return strength(MARK.sub("", name) if MARK_START in name else name)


def _is_named_value(names: Collection[str]) -> bool:
    """Whether one member of an object names the value that another one holds."""
    return "value" in names and ("name" in names or "key" in names)


def _free(key: str, taken: Mapping[str, Any]) -> str:
    """Return a key, with a number in its last mark if another key redacts alike."""
    free, number = key, 1
    while free in taken and (marks := list(MARK.finditer(key))):
        number += 1
        end = marks[-1].end() - 2
        free = f"{key[:end]}-{number}{key[end:]}"
    return free


def _is_schema(value: Mapping[str, Any]) -> bool:
    """Whether an object describes a value and does not hold one."""
    kind = value.get("type")
    return (isinstance(kind, str) and kind.lower() in _SCHEMA_TYPES) or "$ref" in value


def _is_media(value: Mapping[str, Any]) -> bool:
    kind = value.get(MIME_TYPE, value.get("mime_type", value.get("media_type", "")))
    return isinstance(kind, str) and _MEDIA.match(kind) is not None


def local_places() -> dict[str, str]:
    """Return the texts of this machine, by their marks: folders, the kernel's version."""
    import platform
    import tempfile

    own = {HOME: str(Path.home()), TEMP: tempfile.gettempdir(), OS: platform.release()}
    return {**own, **_test_folders}


def replay_places() -> dict[str, str]:
    """Return what a replay puts in the place of each mark; also of pytest's folders, outside it."""
    own = local_places()
    return {TEST_RUN: own[TEMP], TEST_FOLDER: own[TEMP]} | own


_test_folders: Mapping[str, str] = {}
"""The temporary folders of pytest in this process, by their marks: of the run, and of the test.

It is replaced and never changed, because the threads of recordings read it.
"""


def use_test_folder(place: str, folder: Path | None) -> None:
    """Have recordings write a mark for a temporary folder of pytest, whose name differs each time.

    Args:
        place: `TEST_RUN` or `TEST_FOLDER`.
        folder: The folder; None if there is none any more.
    """
    global _test_folders  # noqa: PLW0603 - of the process, as the folders are
    others = {each: path for each, path in _test_folders.items() if each != place}
    _test_folders = others if folder is None else {**others, place: str(folder)}
