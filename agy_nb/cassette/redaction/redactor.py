"""Takes secrets out of what is written. On by default, and at one place: the journal's writer.

Rule 1: fail closed. What stands under a secret's name is taken out whatever it looks like; of
headers and environments only what is known to be harmless stays.
Rule 2: what is taken out leaves a mark, `{{agy:KIND}}`, that stands for any text when replayed.
Rule 3: folders of this machine leave marks that come back as the replaying machine's own.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from agy_nb.cassette.format import Frame, Line
from agy_nb.cassette.jsonpath import JsonPath
from agy_nb.cassette.redaction.names import (
    HINT,
    PATTERNS,
    Pattern,
    harmless_header,
    is_secret_name,
    secret_values,
    spellings,
    worth_learning,
)
from agy_nb.cassette.redaction.spans import Span, merged

Rule: TypeAlias = "re.Pattern[str] | str | Callable[[Frame], Frame]"
"""Of your own: a compiled expression, a JSON path (`$.config.models[*].name`, `$..note`), or a
function that takes a frame and gives it back changed."""

_SECRET_MAPS = {"headers", "httpheaders", "http_headers"}
_ENVIRONMENTS = {"env", "environ", "environment"}
_DEPTH = 60
_LONG = 200
_REMEMBERED = 2000
_WORD = 1000
"""Characters of a value that may still come as one word of a stream."""


def mark(kind: str) -> str:
    """What stands in the place of something taken out."""
    return "{{agy:" + kind + "}}"


MARK = re.compile(r"\{\{agy:[a-z0-9-]+\}\}")
HOME, TEMP, SECRET, OS = mark("home"), mark("tmp"), mark("secret"), mark("os")


class Redactor:
    """Takes secrets and folders of this machine out of frames.

    Learns as it goes: a key seen in a configuration is taken out wherever it turns up later.

    Args:
        rules: Your own rules, applied after ours.
        environ: Whose secret-looking variables' values are taken out; the process's by default.
        places: Folders and their marks; home and the temporary folder by default.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        environ: Mapping[str, str] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.RLock()  # the journal's writer, the gateway and the loop redact
        self._paths: list[JsonPath] = []
        self._patterns: list[Pattern] = list(PATTERNS)
        self._own_patterns: list[Pattern] = []
        self._seen: dict[str, str] = {}
        self._harmless: set[str] = set()
        self._functions: list[Callable[[Frame], Frame]] = []
        self._exact: set[str] = set()
        self._exact_pattern: re.Pattern[str] | None = None
        self._unusual: tuple[str, ...] = ()
        self._trusted: tuple[str, ...] = ()
        self._folders = places
        for rule in rules:
            self._add(rule)
        self.learn(*secret_values(os.environ if environ is None else environ))

    @property
    def known(self) -> int:
        """How many values it looks for wherever they turn up."""
        return len(self._exact)

    def trust(self, *texts: str) -> None:
        """Take these very objects for clean, until the next call."""
        self._trusted = texts

    def line(self, line: Line) -> Line:
        """A line fit to be written."""
        return Line(line.session, line.direction, line.dt, self.frame(line.frame))

    def frame(self, frame: Frame) -> Frame:
        """A frame fit to be written; the one given is not changed."""
        with self._lock:
            return self._frame(frame)

    def _frame(self, frame: Frame) -> Frame:
        for function in self._functions:
            frame = function(frame)
        for path in self._paths:
            frame, found = path.replace(frame, mark("rule"))
            self.counts["rule"] += found
        known = len(self._exact)
        cleaned = self._walk(frame, "", 0)
        if len(self._exact) > known:  # a key may stand before the place that names it one
            cleaned = self._walk(cleaned, "", 0)
        assert isinstance(cleaned, dict)  # noqa: S101 - for the type checker
        return cleaned

    def text(self, text: str) -> str:
        """A text fit to be written."""
        with self._lock:
            return self._text(text)

    def _text(self, text: str) -> str:
        for known in self._trusted:
            if text is known:
                return text
        stripped = text.lstrip()
        if stripped[:1] in ("{", "["):
            inner = _json(stripped)
            if isinstance(inner, dict | list):
                cleaned = self._walk(inner, "", 0)
                if cleaned != inner:
                    return json.dumps(cleaned, ensure_ascii=False)
                return self._plain(text)
        return self._plain(text)

    def spans(self, text: str, *, hinted: bool | None = None) -> list[Span]:
        """What is to be taken out of a text that comes in pieces, in order.

        Args:
            text: The text.
            hinted: What `hints` says of it, if that is known.
        """
        with self._lock:
            return self._spans(text, hinted=self.hints(text) if hinted is None else hinted)

    def hints(self, text: str) -> bool:
        """Whether a text holds anything that is part of each secret's look."""
        return HINT.search(text) is not None

    def _spans(self, text: str, *, hinted: bool) -> list[Span]:
        found = []
        if self._exact_pattern is not None:
            found += [Span(*m.span(), SECRET, True) for m in self._exact_pattern.finditer(text)]  # noqa: FBT003
        patterns = self._patterns if hinted else self._own_patterns
        lowered = text.lower() if patterns else ""
        for pattern in patterns:
            if not pattern.may_be_in(lowered):
                continue
            group = "s" if "s" in pattern.expression.groupindex else 0
            for match in pattern.expression.finditer(text):
                found.append(Span(*match.span(group), mark(pattern.kind), True))  # noqa: FBT003
        for place, folder, expression in self._places:
            if folder in text:
                found += [Span(*m.span(), place, False) for m in expression.finditer(text)]  # noqa: FBT003
        return merged(
            span
            for span in found
            if span.start < span.end and not MARK.fullmatch(text, span.start, span.end)
        )

    def may_begin(self, text: str) -> int:
        """How many characters at a text's end may begin a known value that is no single word."""
        longest = 0
        for value in self._unusual:
            last = text[-(len(value) - 1) :]
            at = last.find(value[0])
            while at >= 0 and not value.startswith(last[at:]):
                at = last.find(value[0], at + 1)
            longest = max(longest, len(last) - at if at >= 0 else 0)
        return longest

    @property
    def has_own_patterns(self) -> bool:
        """Whether there are expressions of the user's, which may match anything."""
        return bool(self._own_patterns)

    def warm_up(self) -> None:
        """Look up this machine's folders now. Reads the disk; otherwise the first use does."""
        _ = self._places

    # -- how ---------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> list[tuple[str, str, re.Pattern[str]]]:
        return _place_patterns(local_places() if self._folders is None else self._folders)

    def _add(self, rule: Rule) -> None:
        if isinstance(rule, re.Pattern):
            own = Pattern("rule", rule)
            self._patterns.append(own)
            self._own_patterns.append(own)
        elif isinstance(rule, str):
            self._paths.append(JsonPath.parse(rule))
        elif callable(rule):
            self._functions.append(rule)
        else:
            raise TypeError(f"{rule!r} is no rule; use re.compile(...), a JSON path or a function")

    def learn(self, *values: str) -> None:
        """Take these values out wherever they turn up from now on."""
        if not self._exact.issuperset(values):
            self._exact.update(values)
            self._seen.clear()
            self._harmless.clear()
            every = {form for known in self._exact for form in spellings(known)}
            longest_first = sorted(every, key=lambda form: (-len(form), form))
            self._exact_pattern = re.compile("|".join(map(re.escape, longest_first)))
            self._unusual = tuple(
                form for form in longest_first if len(form) > _WORD or len(form.split()) > 1
            )

    def _walk(self, value: Any, name: str, depth: int) -> Any:  # noqa: ANN401 - JSON
        if depth > _DEPTH:
            return self._blank("secret")  # nobody sends this; better safe
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
        kept = {}
        for key, item in value.items():
            secret = (
                is_secret_name(key)
                or (kind in _SECRET_MAPS and not harmless_header(key))
                or (kind in _ENVIRONMENTS and isinstance(item, str))
            )
            cleaned_key = self._plain(key)
            kept[cleaned_key] = (
                self._take_out(item, learn=True) if secret else self._walk(item, key, depth + 1)
            )
        if is_secret_name(str(value.get("name", ""))) and isinstance(value.get("value"), str):
            kept["value"] = self._take_out(value["value"], learn=True)
        return kept

    def _walk_list(self, value: list[Any], name: str, depth: int) -> list[Any]:
        kept, secret_next = [], False
        for item in value:
            if secret_next and isinstance(item, str):
                kept.append(self._take_out(item, learn=True))
                secret_next = False
                continue
            secret_next = (
                isinstance(item, str)
                and item.startswith("-")
                and "=" not in item
                and is_secret_name(item.lstrip("-"))
            )
            kept.append(self._walk(item, name, depth + 1))
        return kept

    def _take_out(self, value: Any, *, learn: bool) -> Any:  # noqa: ANN401 - JSON
        """Everything under a secret's name, whatever its shape."""
        if isinstance(value, dict):
            return {self._plain(k): self._take_out(v, learn=learn) for k, v in value.items()}
        if isinstance(value, list):
            return [self._take_out(item, learn=learn) for item in value]
        if isinstance(value, str) and value and not MARK.fullmatch(value):
            if learn and worth_learning(value):
                self.learn(value)
            return self._blank("secret")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._blank("secret")
        return value

    def _blank(self, kind: str) -> str:
        self.counts[kind] += 1
        return mark(kind)

    def _number(self, value: float) -> Any:  # noqa: ANN401 - JSON
        if self._exact and repr(value) in self._exact:
            return self._blank("secret")
        return value

    def _plain(self, text: str) -> str:
        """A text without secrets; names of fields come again and again, and system prompts."""
        if len(text) < _LONG:
            if text in self._harmless:
                return text
            clean = self._cleaned(text)
            if clean == text:  # what is taken out is counted each time
                if len(self._harmless) >= _REMEMBERED:
                    self._harmless.clear()
                self._harmless.add(text)
            return clean
        known = self._seen.get(text)
        if known is None:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            known = self._seen[text] = self._cleaned(text)
        return known

    def _cleaned(self, text: str) -> str:
        if self._exact_pattern is not None:
            text, found = self._exact_pattern.subn(SECRET, text)
            self.counts["secret"] += found
        patterns = self._patterns if HINT.search(text) else self._own_patterns
        lowered = text.lower() if patterns else ""
        for pattern in patterns:
            if not pattern.may_be_in(lowered):
                continue
            text, found = pattern.take_out(text, mark(pattern.kind))
            if found:
                self.counts[pattern.kind] += found
                lowered = text.lower()
        for place, folder, expression in self._places:
            if folder not in text:
                continue
            text, found = expression.subn(lambda _, place=place: place, text)  # type: ignore[misc]
            if found:
                self.counts[place.strip("{}").partition(":")[2]] += found
        return text


def local_places() -> dict[str, str]:
    """What is this machine's own, by the mark that stands for it: folders, the kernel's version."""
    import platform
    import tempfile

    return {HOME: str(Path.home()), TEMP: tempfile.gettempdir(), OS: platform.release()}


def _place_patterns(places: Mapping[str, str]) -> list[tuple[str, str, re.Pattern[str]]]:
    found: dict[str, str] = {}
    for place, folder in places.items():
        forms = (folder, os.path.realpath(folder)) if Path(folder).is_absolute() else (folder,)
        for form in forms:
            if len(form.strip("/\\")) > 1:
                found.setdefault(form, place)
    ordered = sorted(found.items(), key=lambda item: -len(item[0]))
    return [
        (place, folder, re.compile(rf"(?<![\w.-]){re.escape(folder)}(?![\w-]|\.\w)"))
        for folder, place in ordered
    ]


def _json(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
