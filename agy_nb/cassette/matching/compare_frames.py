"""Whether two frames mean the same, and where they do not.

Rule 1: a mark of the redaction in the recording stands for any text.
Rule 2: the words of the user, a tool and the configuration must be equal, also if they are JSON.
JSON that the SDK or the harness writes is compared by its meaning: spaces and the order of keys do
not count.
Rule 3: a path leads into JSON in a string too: `toolResponse.responseJson.result.time`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agy_nb.cassette.matching.normalize import Normalizer, with_sorted_sets
from agy_nb.errors import InvalidInputError
from agy_nb.wire import frames as f
from agy_nb.wire.path_map import MARK
from agy_nb.wire.stored.literal_marks import literal

MATCHERS = {
    "config": (f.CONFIG,),
    "prompt": (f.USER_INPUT, f.TRIGGER),
    "result": (f.TOOL_RESPONSE,),
    "approval": (f.POLICY_RESPONSE, f.TOOL_CONFIRMATION),
    "question": (f.QUESTION_RESPONSE,),
    "hook": (f.HOOK_RESPONSE,),
}
"""What `match_on` takes, and the client frames that each compares."""

_MATCHER_OF = {kind: name for name, kinds in MATCHERS.items() for kind in kinds}
_WRITTEN_BY_SDK = re.compile(
    rf"{f.TOOL_RESPONSE}\.{f.RESPONSE_JSON}"
    rf"|(?:{f.CONFIG}\.)?(?:tools\[\d+\]\.(?:{'|'.join(f.JSON_SCHEMAS)})|{f.FINISH_SCHEMA})"
    rf"|(?:{f.CONFIG}\.)?models\[\d+\]\.{f.CUSTOM_ENDPOINT}\.{f.CONFIG_JSON}"
    r"|messages\[\d+\]\.tool_calls\[\d+\]\.function\.arguments"
)
"""Paths of strings whose JSON the SDK writes in frames, or the harness in requests to a model."""
_MISSING = object()
_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two frames differ.

    Attributes:
        path: Where, e.g. `userInput.parts[0].text`.
        expected: The recorded value; `MISSING` for none.
        actual: The value that came; `MISSING` for none.
    """

    path: str
    expected: Any
    actual: Any


MISSING = _MISSING


class Comparer:
    """Compares client frames with recorded ones.

    Args:
        match_on: What to compare, of `MATCHERS`.
        ignore: Paths not to compare, with all below them; `*` for any index or name.
        normalize: Values of one run that do not count: names of `NORMALIZERS`, or expressions.

    Attributes:
        patterns: The rules of `normalize`, as regular expressions.

    Raises:
        InvalidInputError: `match_on` or `normalize` names something else.
    """

    def __init__(
        self,
        match_on: Iterable[str] = tuple(MATCHERS),
        ignore: Iterable[str] = (),
        normalize: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        names = tuple(match_on)
        for name in names:
            if name not in MATCHERS:
                raise InvalidInputError(
                    f"match_on takes {', '.join(MATCHERS)}; not {name!r}", field="match_on"
                )
        self._match_on = frozenset(names)
        self._ignore = [_path_pattern(path) for path in ignore]
        self._normal = Normalizer(normalize)
        self.patterns: tuple[re.Pattern[str], ...] = self._normal.patterns
        self._strict = Comparer(match_on=names, normalize=normalize) if self._ignore else self

    def compares(self, kind: str) -> bool:
        """Return whether frames of that kind are compared at all."""
        matcher = _MATCHER_OF.get(kind)
        return matcher is None or matcher in self._match_on

    def differences(self, expected: Any, actual: Any) -> Iterator[Difference]:
        """Yield each place where they differ, in the order of the recording."""
        return self._walk(expected, actual, "")

    def first(self, expected: Any, actual: Any) -> Difference | None:
        """Return the first place where they differ, None if they mean the same."""
        return None if expected == actual else next(self.differences(expected, actual), None)

    def _ignored(self, path: str) -> bool:
        return any(pattern.match(path) for pattern in self._ignore)

    def _walk(self, old: Any, new: Any, path: str) -> Iterator[Difference]:
        if old is new or self._ignored(path):
            return
        if isinstance(old, dict) and isinstance(new, dict):
            new = _with_keys_of(old, new, self._normal)
            for key in (*old, *(key for key in new if key not in old)):
                yield from self._walk(
                    old.get(key, _MISSING), new.get(key, _MISSING), _below(path, key)
                )
        elif isinstance(old, list) and isinstance(new, list):
            for number in range(max(len(old), len(new))):
                yield from self._walk(
                    old[number] if number < len(old) else _MISSING,
                    new[number] if number < len(new) else _MISSING,
                    f"{path}[{number}]",
                )
        elif isinstance(old, str) and isinstance(new, str):
            yield from self._strings(old, new, path)
        elif isinstance(old, str) and MARK.fullmatch(old) and new is not _MISSING:
            return
        # For Python, `True == 1`, and for JSON they differ.
        elif isinstance(old, bool) is not isinstance(new, bool) or old != new:
            yield Difference(path, old, new)

    def _strings(self, old: str, new: str, path: str) -> Iterator[Difference]:
        if old == new:
            return
        then, now = _json(old), _json(new)
        if then is not _MISSING and now is not _MISSING:
            found = self._walk(then, now, path)
            first = next(found, None)
            if first is not None:
                yield first
                yield from found
                return
            if MARK.search(old) or _WRITTEN_BY_SDK.fullmatch(path):
                return  # redaction writes JSON again, too
            if next(self._strict._walk(then, now, path), None) is not None:  # noqa: SLF001
                return  # at a place that the user ignores
        if not same_text(old, new) and not self._same_when_normalized(old, new):
            yield Difference(path, old, new)

    def _same_when_normalized(self, old: str, new: str) -> bool:
        then, now = with_sorted_sets(self._normal(old)), with_sorted_sets(self._normal(new))
        return (then, now) != (old, new) and same_text(then, now)


def same_text(recorded: str, text: str) -> bool:
    """Return whether a text is the recorded one, in which a redaction mark stands for any text.

    Takes linear time: the text between two marks is looked for once, behind the piece before it.
    """
    if recorded == text:
        return True
    first, *rest = MARK.split(recorded)
    if not rest or not text.startswith(first):
        return False
    position, last = len(first), rest.pop()
    for piece in rest:
        # The first place is as good as any: it leaves the most text for the pieces that follow.
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return len(text) - len(last) >= position and text.endswith(last)


def _with_keys_of(old: dict[str, Any], new: dict[str, Any], normal: Normalizer) -> dict[str, Any]:
    """Return an object with the keys of the recording in the place of those that mean the same.

    These are keys into which the recording wrote marks: a client that got such a key from the
    replay sends it back as a text of its own. And keys that differ only by values of one run.
    """
    left = [key for key in old if key not in new]
    if not left:
        return new
    same = {literal(key): key for key in left if MARK.search(key)}
    volatile: dict[str, list[str]] = {}
    for key in left:
        if (text := normal(key)) != key:
            volatile.setdefault(text, []).append(key)
    found: dict[str, Any] = {}
    for key, item in new.items():
        recorded = None if key in old else same.get(key)
        if recorded is None and key not in old and (keys := volatile.get(normal(key))):
            recorded = keys.pop(0)
        found[key if recorded is None else recorded] = item
    return found


def _below(path: str, key: str) -> str:
    if not path:
        return key
    return f"{path}.{key}" if _NAME.fullmatch(key) else f"{path}['{key}']"


def _json(text: str) -> Any:
    if not text[:1] or text.lstrip()[:1] not in ("{", "["):
        return _MISSING
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _MISSING


def _path_pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path.removeprefix("$").removeprefix("."))
    text = text.replace(r"\[\*\]", r"\[\d+\]").replace(r"\*", r"[^.\[]+")
    return re.compile(rf"{text}(?=$|[.\[])")
