"""Give the lines of a re-recording the ids, times and order of the old recording.

Two recordings of the same session differ in ids, times, chunks and the order of independent frames.
A turn that means the same keeps its old lines. In a turn that has changed, the lines that mean the
same do.

Rule 1: words of the user, of tools and of the model are never taken from the old recording.
Rule 2: ids are renamed everywhere at once, so that frames and requests to the model still agree.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from agy_nb.cassette.storage.format import Frame, WireRecord
from agy_nb.wire import frames as f
from agy_nb.wire.summaries.canonical_config import canonical_config

_ID_FIELDS = frozenset(
    {f.CONVERSATION_ID, f.TRAJECTORY_ID, f.PARENT_ID, f.ID, f.CALL_ID, f.REQUEST_ID}
)
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:call|fc)[_-]\w{16,}")
_OF_A_CHUNK = frozenset({f.TEXT_DELTA, f.THINKING_DELTA})
_ENVELOPE = frozenset({f.SEQUENCE, f.TIMESTAMP})
_SENT = re.compile(r"(\[Message\] timestamp=)\d[\w:.+-]*\w")
_MOST_ALIGNED = 3_000
"""Lines of a turn that are aligned; difflib takes quadratic time."""


class RenamedIds:
    """The ids of a new recording, and the old ids that take their place.

    Args:
        old: The lines of the old recording.
        new: The lines of the new one.
        known: Ids that were renamed before, in earlier lines of the new recording.

    Attributes:
        names: The old ids, by the new ones.
    """

    def __init__(
        self,
        old: Iterable[WireRecord],
        new: Iterable[WireRecord],
        known: Mapping[str, str] | None = None,
    ) -> None:
        before, after = _ids_by_field(old), _ids_by_field(new)
        self.names: dict[str, str] = dict(known or {})
        found = {
            name: list(dict.fromkeys(self.names.get(one, one) for one in ids))
            for name, ids in after.items()
        }
        taken: set[str] = set()
        for name, ids in found.items():
            for one, other in zip(ids, before.get(name, ()), strict=False):
                if one not in self.names and other not in taken:
                    self.names[one] = other
                    taken.add(other)
        kept = {one for ids in found.values() for one in ids} - self.names.keys()
        # An id of the new recording that keeps its name may be an old one already, for example if a
        # program gives its own ids. Two things would then have one name, and no replay could tell
        # them apart; new ids are the lesser evil.
        if kept & taken:
            self.names = dict(known or {})

    def text(self, text: str) -> str:
        """Return a text with the old ids in it."""
        return _ID.sub(lambda found: self.names.get(found[0], found[0]), text)

    def value(self, value: Any) -> Any:
        """Return JSON data with the old ids in all of its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value


def _ids_by_field(lines: Iterable[WireRecord]) -> dict[tuple[int, str], list[str]]:
    """Return the ids that a harness gave, by the session and field of their first place."""
    found: dict[tuple[int, str], dict[str, None]] = {}

    def look(session: int, value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                look(session, item, key)
        elif isinstance(value, list):
            for item in value:
                look(session, item, name)
        elif name in _ID_FIELDS and isinstance(value, str) and _ID.fullmatch(value):
            found.setdefault((session, name), {})[value] = None

    for line in lines:
        if line.direction == "harness":
            look(line.session, line.frame, "")
    return {name: list(ids) for name, ids in found.items()}


def stable_lines(
    old: Sequence[WireRecord], new: Sequence[WireRecord], ids: RenamedIds
) -> list[WireRecord]:
    """Return the lines of a re-recording, with what did not change from the old recording.

    Args:
        old: All lines of the old recording.
        new: All lines of the new one.
        ids: The ids of both.
    """
    before, after = _by_session(old), _by_session(new)
    found: dict[int, list[WireRecord]] = {}
    for number, lines in after.items():
        renamed = [replace(line, frame=ids.value(line.frame), text=None) for line in lines]
        found[number] = list(_stable_session(before.get(number, []), renamed))
    # How sessions mix is chance. If each has as many lines as before, the old order fits.
    if {n: len(lines) for n, lines in found.items()} == {n: len(of) for n, of in before.items()}:
        new = old
    return list(_interleaved(found, new))


def _by_session(lines: Iterable[WireRecord]) -> dict[int, list[WireRecord]]:
    found: dict[int, list[WireRecord]] = {}
    for line in lines:
        found.setdefault(line.session, []).append(line)
    return found


def _interleaved(
    found: dict[int, list[WireRecord]], order: Iterable[WireRecord]
) -> Iterator[WireRecord]:
    """Put the lines of all sessions into one order."""
    left = Counter(line.session for line in order)
    for line in order:
        lines = found[line.session]
        left[line.session] -= 1
        count = 1 if left[line.session] else len(lines)
        yield from lines[:count]
        del lines[:count]


def _stable_session(old: list[WireRecord], new: list[WireRecord]) -> Iterator[WireRecord]:
    clock = _Clock()
    for before, after in zip_longest(_turns(old), _turns(new)):
        if after is None:
            return
        if before is None:
            yield from map(clock.moved, after)
        elif _meaning(before) == _meaning(after):
            yield from before
            clock.set(before, after)
        elif max(len(before), len(after)) > _MOST_ALIGNED:
            yield from map(clock.moved, after)
        else:
            yield from _aligned(before, after, clock)


def _turns(lines: Iterable[WireRecord]) -> list[list[WireRecord]]:
    found: list[list[WireRecord]] = [[]]
    for line in lines:
        if line.direction == "client" and f.kind_of(line.frame) in f.TURN_KINDS:
            found.append([])
        found[-1].append(line)
    return found


def _meaning(lines: Iterable[WireRecord]) -> Any:
    """Return what the lines of a turn add up to, exactly, without ids, times and order."""
    last: dict[Any, Any] = {}
    others: list[str] = []
    for line in lines:
        kind, frame = f.kind_of(line.frame), line.frame
        body = frame.get(kind)
        if line.direction == "client" and kind == f.CONFIG:
            others.append(_json(canonical_config(frame)))
        elif line.direction == "harness" and kind == f.STEP and isinstance(body, dict):
            key = body.get(f.TRAJECTORY_ID), body.get(f.STEP_INDEX)
            last[key] = {name: item for name, item in body.items() if name not in _OF_A_CHUNK}
            # Only there is the time the harness's own. The same words of a model must stay.
            if body.get(f.SOURCE) == f.FROM_SYSTEM:
                last[key] = _without_time(last[key])
        elif line.direction == "harness" and kind == f.TRAJECTORY_STATE and isinstance(body, dict):
            last[kind, body.get(f.TRAJECTORY_ID)] = body  # how often it waits between is chance
        elif line.direction == "harness" and kind == f.USAGE:
            last[kind] = _in_any_order(body)
        else:
            others.append(line.direction + _canonical(line))
    return last, sorted(others)


def _without_time(step: Frame) -> Frame:
    """Return a step without the time of a message between agents, which the harness writes."""
    return {k: _SENT.sub(r"\1", v) if isinstance(v, str) else v for k, v in step.items()}


def _in_any_order(usage: Any) -> Any:
    """Return token counts with the agents in an order that does not depend on who began first."""
    if not isinstance(usage, dict):
        return usage
    return {k: sorted(v, key=_json) if isinstance(v, list) else v for k, v in usage.items()}


def _canonical(line: WireRecord) -> str:
    """Return a line without its times."""
    if line.direction == "host":
        return _json(_without_seconds(line.frame))
    if f.CONFIG in line.frame and line.direction == "client":
        return _json(canonical_config(line.frame))
    return _json({name: item for name, item in line.frame.items() if name not in _ENVELOPE})


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if not isinstance(v, float)}
    return [_without_seconds(item) for item in value] if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _aligned(
    old: Sequence[WireRecord], new: Sequence[WireRecord], clock: _Clock
) -> Iterator[WireRecord]:
    """Return the lines of a turn that has changed."""
    # Repetitions are not aligned, as their number is chance. The old ones stay, the new ones go: a
    # re-recording without a change would otherwise differ.
    repeated = _repetitions(old)
    ours = _repetitions(new)
    new = [line for number, line in enumerate(new) if number not in ours]
    one, other = ([line.direction + _canonical(line) for line in lines] for lines in (old, new))
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        before, after = list(old[start:end]), new[new_start:new_end]
        if tag == "equal":
            yield from before
            clock.set(before, after)
        elif tag == "delete":
            yield from (old[number] for number in range(start, end) if number in repeated)
        for line in after if tag in ("insert", "replace") else ():
            place = next((n for n, each in enumerate(before) if _same_kind(each, line)), None)
            if place is None:
                yield clock.moved(line)
            else:
                yield _merged(before.pop(place), line)


def _same_kind(one: WireRecord, other: WireRecord) -> bool:
    return one.direction == other.direction and f.kind_of(one.frame) == f.kind_of(other.frame)


def _repetitions(lines: Iterable[WireRecord]) -> set[int]:
    """Return the places of updates of a step that add nothing; how many there are is chance."""
    found: set[int] = set()
    steps: dict[Any, Any] = {}
    for number, line in enumerate(lines):
        body = line.frame.get(f.STEP)
        if line.direction == "harness" and isinstance(body, dict):
            key = body.get(f.TRAJECTORY_ID), body.get(f.STEP_INDEX)
            step = {name: item for name, item in body.items() if name not in _OF_A_CHUNK}
            if steps.get(key) == step and not any(body.get(name) for name in _OF_A_CHUNK):
                found.add(number)
            steps[key] = step
    return found


def _merged(old: WireRecord, new: WireRecord) -> WireRecord:
    """Return a changed line with the times of the old one."""
    frame = new.frame | {n: old.frame[n] for n in _ENVELOPE & old.frame.keys() & new.frame.keys()}
    if f.CONFIG in frame and new.direction == "client":
        frame = _kept(old.frame, new.frame, canonical_config(old.frame), canonical_config(frame))
    return replace(new, dt=old.dt, frame=frame)


def _kept(old: Any, new: Any, old_meaning: Any, new_meaning: Any) -> Any:
    """Return a configuration with the old values where they mean the same as the new ones."""
    if old_meaning == new_meaning:
        return old
    if all(isinstance(each, dict) for each in (old, new, old_meaning, new_meaning)):
        return {
            key: _kept(old[key], item, old_meaning.get(key), new_meaning.get(key))
            # The meaning has the tools in another order, so places do not correspond.
            if key in old and key != "tools"
            else item
            for key, item in new.items()
        }
    return new


class _Clock:
    """Moves the times and numbers of new lines to those of the old recording."""

    def __init__(self) -> None:
        self._offsets: Frame = {}

    def set(self, old: Sequence[WireRecord], new: Sequence[WireRecord]) -> None:
        """Note how far the end of some lines is from the end of their old ones."""
        for name in _ENVELOPE:
            then, now = (_last(lines, name) for lines in (old, new))
            if then is not None and now is not None:
                self._offsets[name] = then - now

    def moved(self, line: WireRecord) -> WireRecord:
        """Return a line that the old recording does not have."""
        moved = {
            name: str(number + self._offsets.get(name, 0))
            for name in _ENVELOPE
            if (number := _number(line, name)) is not None
        }
        return replace(line, frame={k: moved.get(k, v) for k, v in line.frame.items()})


def _number(line: WireRecord, name: str) -> int | None:
    value = line.frame.get(name)
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _last(lines: Sequence[WireRecord], name: str) -> int | None:
    numbers = (_number(line, name) for line in reversed(lines))
    return next((number for number in numbers if number is not None), None)
