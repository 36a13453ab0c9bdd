"""Leave out what a frame of the harness repeats, and put it back. Pure: JSON data in, data out.

While an answer streams, each frame of the harness repeats its step and the whole text so far. A
recording holds the first such frame in full, and of each later frame its changes:

```json
{"s":0,"d":"harness","dt":0.02,"t":21034,"c":{"stepUpdate":{"textDelta":" is sunny"}}}
```

`c` is a JSON Merge Patch (RFC 7396) of the session's previous frame of the same kind. If it names a
trajectory, it is a patch of the previous frame of that kind and trajectory. `t` is the time since
the session's previous frame of the harness, in microseconds of `timestampMicros`, and `seqNum` is
one more. A `text` that `c` leaves out is the previous text of the step and `textDelta`; `thinking`
is the previous thinking and `thinkingDelta`.

Rule 1: a restored frame is exactly the frame that was recorded, with the order of its fields. A
frame for which this is not certain is stored in full.
Rule 2: what all frames of a file expand to is limited. The writer stores frames in full beyond it.
Rule 3: after a damaged line, changes are refused up to the next full frame of their kind.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from agy_nb.wire.frames import (
    SEQUENCE,
    STEP,
    STEP_INDEX,
    TEXT,
    TEXT_DELTA,
    THINKING,
    THINKING_DELTA,
    TIMESTAMP,
    TRAJECTORY_ID,
    Frame,
)
from agy_nb.wire.stored.literal_marks import LITERAL_BYTES

Line: TypeAlias = dict[str, Any]
"""A line of a recording, as JSON data."""

MOST_RESTORED: Final = 512 * 2**20
"""Most bytes that all changes of a file expand to."""

_NEW_STEP: Final = {TEXT: "", THINKING: ""}
_ENVELOPE: Final = (SEQUENCE, TIMESTAMP)
_LEAST: Final = 32
"""Bytes of a line with changes that are never a part of its frame."""
_SLACK: Final = 4_096
"""Bytes by which a frame may be estimated too large before one is stored in full again."""


class _Former:
    """The former frame of a kind and trajectory, for the next one."""

    __slots__ = ("body", "size", "trajectory")

    def __init__(self, body: Any, size: int, trajectory: Any) -> None:
        self.body = body
        self.size = size  # at least the bytes of its JSON
        self.trajectory = trajectory


class Restored:
    """Counts what the changes of a file expand to, in bytes."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size: int = 0


class SessionFrames:
    """Restores the frames of one session, in the order of its lines.

    Args:
        restored: Counts for all sessions of the file.

    Example:
        >>> frames = SessionFrames(Restored())
        >>> frames.note({"kind": {"a": 1, "b": 2}, "seqNum": "7", "timestampMicros": "1000"}, 90)
        >>> frames.changed({"t": 5, "c": {"kind": {"b": 3}}}, 40)
        {'kind': {'a': 1, 'b': 3}, 'seqNum': '8', 'timestampMicros': '1005'}
    """

    __slots__ = ("_last", "_moment", "_number", "_of_kind", "_of_trajectory", "_restored")

    def __init__(self, restored: Restored) -> None:
        self._restored = restored
        self._last: Frame | None = None  # the last full frame, until its number is needed
        self._number = self._moment = -1
        self._of_kind: dict[str, _Former] = {}
        self._of_trajectory: dict[tuple[str, Any], _Former] = {}

    def note(self, frame: Frame, size: int) -> None:
        """Remember a full frame of the harness.

        Args:
            frame: The frame.
            size: Bytes of its line.
        """
        for kind in frame:
            self._last = frame
            body = frame[kind]
            trajectory = body.get(TRAJECTORY_ID) if type(body) is dict else None
            former = self._of_kind.get(kind)
            if former is not None and former.trajectory == trajectory:  # most frames
                former.body, former.size = body, size
                return
            self._of_kind[kind] = former = _Former(body, size, trajectory)
            if type(trajectory) is str:
                self._of_trajectory[kind, trajectory] = former
            return

    def changed(self, line: Line, size: int) -> Frame:
        """Return the frame of a line with changes.

        Args:
            line: The line.
            size: Its bytes.

        Raises:
            ValueError: The changes cannot be applied.
        """
        if self._restored.size > MOST_RESTORED:
            raise ValueError(f"the frames expand to more than {MOST_RESTORED >> 20} MB")
        changes = line["c"]
        try:
            ((kind, change),) = changes.items()
            former = self._of_kind[kind]
            number, moment = self.envelope()
            moment += line["t"]
            if TRAJECTORY_ID in change:
                former = self._switched(kind, former, change[TRAJECTORY_ID])
            # An upper bound, counted before the frame is made: a hostile file of short lines must
            # not fill the memory first.
            former.size = size = former.size + size - _LEAST
            self._restored.size += size
            former.body = body = changed_body(kind, former.body, change)
            frame = {kind: body, SEQUENCE: str(number + 1), TIMESTAMP: f"{moment:d}"}
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                "`c` and `t` must be changes of a former frame of the harness of the same kind and "
                f"session, got {changes!r:.60}; that frame may be missing or damaged"
            ) from error
        self._number, self._moment = number + 1, moment
        return frame

    def envelope(self) -> tuple[int, int]:
        """Return the number and the time of the last frame.

        Raises:
            ValueError: Its number or its time is not a whole number.
            LookupError: No frame came before, or it has no number or no time.
        """
        if self._last is not None:
            self._number, self._moment = int(self._last[SEQUENCE]), int(self._last[TIMESTAMP])
            self._last = None
        if self._moment < 0:
            raise LookupError
        return self._number, self._moment

    def former(self, kind: str, trajectory: Any) -> tuple[Any, int, bool] | None:
        """Return what the changes of the next frame refer to, None if there is nothing.

        Returns:
            The former body, its size, and whether the changes must name the trajectory.
        """
        former = self._of_kind.get(kind)
        if former is None:
            return None
        if former.trajectory == trajectory:
            return former.body, former.size, False
        former = self._of_trajectory.get((kind, trajectory), former)
        return former.body, former.size, True

    def forget(self) -> None:
        """Refuse changes until the next full frames, because a line is missing."""
        self.__init__(self._restored)  # type: ignore[misc]

    def _switched(self, kind: str, former: _Former, trajectory: Any) -> _Former:
        """Make the former frame of a trajectory the former one of its kind."""
        found = self._of_trajectory.get((kind, trajectory))
        if found is None:
            found = _Former(former.body, former.size, trajectory)
            self._of_trajectory[kind, trajectory] = found
        self._of_kind[kind] = found
        return found


class FrameRestorer:
    """Restores the frames of one file, in the order of its lines."""

    __slots__ = ("_restored", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[Any, SessionFrames] = {}
        self._restored = Restored()

    def session(self, number: Any) -> SessionFrames:
        """Return what restores the frames of a session."""
        found = self._sessions.get(number)
        if found is None:
            found = self._sessions[number] = SessionFrames(self._restored)
        return found

    def frame(self, line: Line, size: int) -> Frame:
        """Return the frame of a line.

        Args:
            line: The line, as JSON data.
            size: Its bytes.

        Raises:
            ValueError: The changes cannot be applied.
            LookupError: The line has neither a frame nor changes.
        """
        session = self._sessions.get(line["s"]) or self.session(line["s"])
        if "f" not in line:
            return session.changed(line, size)
        frame: Frame = line["f"]
        if line["d"] == "harness":
            session.note(frame, size)
        return frame

    def forget(self) -> None:
        """Refuse changes until the next full frames, because a line is missing."""
        for session in self._sessions.values():
            session.forget()

    def has_room(self, size: int) -> bool:
        """Return whether a frame of this size can be restored."""
        return self._restored.size + size <= MOST_RESTORED


def changed_body(kind: str, former: Frame, change: Frame) -> Frame:
    """Return the content of a frame from that of the former frame and the changes."""
    body = _patched(former, change)
    if kind == STEP:
        if STEP_INDEX in change or (
            TRAJECTORY_ID in change and change[TRAJECTORY_ID] != former.get(TRAJECTORY_ID)
        ):
            former = _NEW_STEP
        if TEXT not in change:
            body[TEXT] = former[TEXT] + body[TEXT_DELTA]
        if THINKING not in change:
            body[THINKING] = former[THINKING] + body[THINKING_DELTA]
    return body


def _patched(value: Frame, change: Frame) -> Frame:
    """Apply a JSON Merge Patch. Neither argument is changed; the result may share parts of them."""
    made = value | change
    for key, item in change.items():
        if item is None:
            del made[key]
        elif type(item) is dict:
            before = value.get(key)
            made[key] = _patched(before if type(before) is dict else {}, item)
    return made


class FrameCompactor:
    """Finds the changes of the frames of one file, in the order of its lines."""

    def __init__(self) -> None:
        self._restorer = FrameRestorer()

    def compact(self, line: Line, raw: bytes) -> bytes:
        """Return the bytes of a line, with changes in the place of its frame if they are shorter.

        Args:
            line: The line in full.
            raw: Its bytes.
        """
        short = self._short(line, raw) if line["d"] == "harness" else None
        line, raw = short or (line, raw)
        # The code that reads keeps the state for the writer, too, so the two cannot disagree.
        self._restorer.frame(line, len(raw))
        return raw

    def _short(self, line: Line, raw: bytes) -> tuple[Line, bytes] | None:
        frame: Frame = line["f"]
        kind = next(iter(frame), "")
        body = frame.get(kind)
        if (*frame,) != (kind, *_ENVELOPE) or type(body) is not dict or LITERAL_BYTES in raw:
            return None
        session, trajectory = self._restorer.session(line["s"]), body.get(TRAJECTORY_ID)
        if trajectory is not None and type(trajectory) is not str:
            return None
        since, found = _microseconds(session, frame), session.former(kind, trajectory)
        if since is None or found is None or type(found[0]) is not dict:
            return None
        former, size, names_trajectory = found
        change = _difference(former, body)
        if names_trajectory:
            change[TRAJECTORY_ID] = trajectory
        if kind == STEP:
            change = _without_grown_texts(former, body, change)
        shorter = {
            "s": line["s"],
            "d": line["d"],
            "dt": line["dt"],
            "t": since,
            "c": {kind: change},
        }
        try:
            made = dumps(shorter).encode() + b"\n"
            # As text: for Python, `1`, `1.0` and `True` are equal, and so are objects whose fields
            # have another order. This also finds a `null`, which a patch cannot set.
            if dumps(changed_body(kind, former, change)) != dumps(body):
                return None
        except (TypeError, ValueError, LookupError):  # includes halves of surrogate pairs
            return None
        expands_to = size + len(made) - _LEAST
        is_worth_it = len(made) < len(raw) and expands_to <= 2 * len(raw) + _SLACK
        return (shorter, made) if is_worth_it and self._restorer.has_room(expands_to) else None


def dumps(value: Any) -> str:
    """Return JSON text as recordings hold it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _microseconds(session: SessionFrames, frame: Frame) -> int | None:
    """Return the time since the former frame, None unless number and time can be restored."""
    try:
        number, before = session.envelope()
        moment = int(frame[TIMESTAMP])
    except (LookupError, ValueError, TypeError):
        return None
    is_same = frame[SEQUENCE] == str(number + 1) and frame[TIMESTAMP] == str(moment)
    return moment - before if is_same and moment >= 0 else None


def _difference(former: Frame, body: Frame) -> Frame:
    """Return the JSON Merge Patch that leads from one object to another."""
    change: Frame = dict.fromkeys(key for key in former if key not in body)
    for key, item in body.items():
        if key not in former:
            change[key] = item
        # Also by type, as `True == 1 == 1.0`.
        elif (before := former[key]) != item or type(before) is not type(item):
            is_patch = type(before) is dict and type(item) is dict
            change[key] = _difference(before, item) if is_patch else item
    return change


def _without_grown_texts(former: Frame, body: Frame, change: Frame) -> Frame:
    """Leave out the texts that follow from their deltas, and name all others."""
    is_new = STEP_INDEX in change or former.get(TRAJECTORY_ID) != body.get(TRAJECTORY_ID)
    change = dict(change)
    for name, delta in ((TEXT, TEXT_DELTA), (THINKING, THINKING_DELTA)):
        before = (_NEW_STEP if is_new else former).get(name)
        text, more = body.get(name), body.get(delta)
        if type(before) is str and type(more) is str and before + more == text:
            change.pop(name, None)
        elif name in body:
            change[name] = text
    return change
