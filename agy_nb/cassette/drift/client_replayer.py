"""What a recorded client does, once more: harness frames in, client frames out. No I/O, no clock.

Rule 1: a prompt is sent once the turn before it is over, also if frames were recorded in between.
Rule 2: a cancel is sent at the first frame like the one that came before it in the recording; a
turn that ends sooner is not cancelled. So does a client hang up that left in the middle of a turn.
Rule 3: a request is answered as it was recorded; one that was not gets the answer that changes
least: a tool fails, a decision is a denial, a hook has nothing to say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from agy_nb.cassette.drift.answer_pool import AnswerPool
from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire import frames as f
from agy_nb.wire.frames import TURN_KINDS, key_of, kind_of, request_of, turn_ended


@dataclass(frozen=True, slots=True)
class _Begun:
    """A frame that the client sends of its own accord.

    Attributes:
        frame: The frame; empty for hanging up in the middle of a turn.
        after: For that and for a cancel, what the frame before it was like.
    """

    frame: Frame
    after: tuple[Any, ...] = ()


class ClientReplayer:
    """One recorded session's client.

    Args:
        session: The recorded session.

    Attributes:
        over: Whether the client has nothing more to do.
        hung_up: Whether it does not even listen any more.
        unanswered: Requests that the recording holds no answer to.
    """

    def __init__(self, session: RecordedSession) -> None:
        self._answers = AnswerPool(session)
        self._left = deque(_begun(session))
        self._in_turn = True  # the handshake is a turn of its own
        self._saying_goodbye = False
        self.over: bool = False
        self.hung_up: bool = False
        self.unanswered: list[str] = []

    def take(self, frame: Frame) -> list[Frame]:
        """Take a frame of the harness; gives what the client sends now.

        Args:
            frame: As it came.
        """
        sent = []
        if request_of(frame) is not None:
            sent.append(self._answers.to(frame) or self._without_answer(frame))
        if turn_ended(frame) or f.INITIALIZED in frame:
            self._in_turn = False
        if f.SESSION_ENDED in frame:
            self.over = True
        return sent + self._begin(frame)

    def _begin(self, frame: Frame) -> list[Frame]:
        while self._left:
            begun = self._left[0]
            kind = kind_of(begun.frame)
            if begun.after:
                if self._in_turn and _like(frame) != begun.after:
                    return []
                self._left.popleft()
                if self._in_turn and not begun.frame:
                    self.over = self.hung_up = True
                elif self._in_turn:
                    return [begun.frame]
                continue
            if self._in_turn:
                return []
            self._left.popleft()
            self._in_turn = kind in TURN_KINDS
            self._saying_goodbye = kind == f.SESSION_END
            return [begun.frame]
        self.over = self.over or not (self._in_turn or self._saying_goodbye)
        return []

    def _without_answer(self, request: Frame) -> Frame:
        key = request_of(request)
        assert key is not None
        self.unanswered.append(f"{kind_of(request)} {key.request_id}")
        match key.kind:
            case f.TOOL_RESPONSE:
                words = "the recording holds no call of this tool"
                return {key.kind: {f.ID: key.request_id, f.ERROR_MESSAGE: words}}
            case f.POLICY_RESPONSE:
                words = "the recording holds no decision on this tool"
                return {
                    key.kind: {
                        f.REQUEST_ID: key.request_id,
                        f.OUTCOME: f.OUTCOME_DENY,
                        f.DENY_REASON: words,
                    }
                }
            case f.HOOK_RESPONSE:
                return {key.kind: {f.REQUEST_ID: key.request_id, f.EMPTY_RESULT: {}}}
        # A question: no person is there to answer, and the harness would wait without end.
        return {f.HALT: True}


def _begun(session: RecordedSession) -> list[_Begun]:
    found = []
    before: tuple[Any, ...] = ()
    in_turn = False
    for line in session.lines:
        if line.direction == "harness":
            before = _like(line.frame)
            in_turn = in_turn and not turn_ended(line.frame)
            continue
        key = key_of(line.frame)
        in_turn = in_turn or key.kind in TURN_KINDS
        if key.kind == f.HALT:
            found.append(_Begun(line.frame, before))
        elif not key.request_id and key.kind != f.CONFIG:
            found.append(_Begun(line.frame))
    if in_turn and session.end == {"by": "client"}:
        found.append(_Begun({}, before))
    return found


def _like(frame: Frame) -> tuple[Any, ...]:
    """Return the parts of a frame by which frames count as equal for a cancel."""
    kind = kind_of(frame)
    body = frame.get(kind)
    if kind != f.STEP or not isinstance(body, dict):
        return (kind,)
    return (kind, body.get(f.SOURCE), body.get(f.STATE), bool(body.get(f.TEXT_DELTA)))
