"""Describe a mismatch: the recorded frame, the frame that came, their difference and the remedy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from agy_nb.cassette import remedies as r
from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Difference
from agy_nb.cassette.matching.text_diff import diff_of
from agy_nb.cassette.redaction import SECRET
from agy_nb.cassette.remedies import Remedy
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire import frames as f
from agy_nb.wire.frames import FrameKey, kind_of
from agy_nb.wire.stored.literal_marks import unmarked

_SHOWN = 300

_WHAT = {
    f.CONFIG: "the agent's configuration",
    f.USER_INPUT: "the prompt",
    f.TRIGGER: "the trigger",
    f.HALT: "a cancel",
    f.SESSION_END: "the session's end",
    f.TOOL_RESPONSE: "the result of a host tool",
    f.POLICY_RESPONSE: "the decision on a tool call",
    f.TOOL_CONFIRMATION: "the confirmation of a tool call",
    f.QUESTION_RESPONSE: "the answer to a question",
    f.HOOK_RESPONSE: "the answer of a hook",
}
_MATCHER = {
    f.CONFIG: "config",
    f.USER_INPUT: "prompt",
    f.TRIGGER: "prompt",
    f.TOOL_RESPONSE: "result",
    f.POLICY_RESPONSE: "approval",
    f.TOOL_CONFIRMATION: "approval",
    f.QUESTION_RESPONSE: "question",
    f.HOOK_RESPONSE: "hook",
}


@dataclass(slots=True)
class Reporter:
    """Makes the errors of one session.

    Args:
        path: The cassette's folder.
        session: The recorded session's number.

    Attributes:
        has_decided: Whether a request for an approval or an answer was answered by the recording.
    """

    _path: str
    _session: int
    has_decided: bool = False

    def _error(
        self,
        phase: str,
        turn: int,
        text: str,
        *remedies: Remedy,
        expected: Frame | None = None,
        actual: Frame | None = None,
        diff: str = "",
        differs_at: str = "",
    ) -> CassetteMismatchError:
        where = f"{self._path}, session {self._session}" + (f", turn {turn}" if turn else "")
        return CassetteMismatchError(
            unmarked(f"{where}: {text}"),
            remedies=remedies,
            path=self._path,
            phase=phase,
            session=self._session,
            turn=turn,
            expected=expected,
            actual=actual,
            diff=unmarked(diff),
            differs_at=differs_at,
        )

    def differs(
        self,
        turn: int,
        expected: Frame,
        actual: Frame,
        difference: Difference,
        call: Frame | None = None,
        *,
        raised: str = "",
    ) -> CassetteMismatchError:
        """Return the error for a frame of the right kind with other contents.

        Args:
            turn: Of the session, from 1.
            expected: The recorded frame.
            actual: The frame that came.
            difference: Where they differ.
            call: The recorded call of a host tool whose result `expected` is.
            raised: The exception that the tool raised now, with its traceback.
        """
        kind = kind_of(expected)
        phase = {f.CONFIG: "config", f.USER_INPUT: "prompt"}.get(kind, "answer")
        diff = diff_of(difference)
        matcher = _MATCHER.get(kind)
        cause = _redacted(call)
        text = (
            f"{_what(kind)} differs from the recording.\n{difference.path} differs:\n"
            f"{_indent(diff)}{cause}{_raised(raised)}"
        )
        remedies = [r.RECORD_AGAIN, r.ignore(difference.path)]
        if matcher:
            remedies.append(r.match_less(matcher))
        if kind == f.USER_INPUT and self.has_decided:
            remedies.append(r.ASK_THE_CLIENT)
        if cause:
            remedies = [r.KEEP_THE_VALUE, r.RUN_NO_TOOLS, *remedies]
        return self._error(
            phase, turn, text, *remedies, expected=expected, actual=actual, diff=diff,
            differs_at=difference.path,
        )  # fmt: skip

    def surplus(
        self,
        turn: int,
        actual: Frame,
        waiting: Iterable[FrameKey],
        *,
        recorded_in: int | None = None,
        is_over: bool = False,
    ) -> CassetteMismatchError:
        """Return the error for a frame for which nothing was recorded at this point.

        Args:
            turn: Of the session, from 1.
            actual: The frame that came.
            waiting: The frames that the recording waits for.
            recorded_in: The turn in which such a frame was recorded.
            is_over: Whether all frames of the recording have been played.
        """
        kind = kind_of(actual)
        expected = ", ".join(sorted(map(str, waiting)))
        elsewhere = "" if recorded_in is None else f"One was recorded in turn {recorded_in}.\n"
        goes_on = "The recording goes on with messages of the harness."
        if expected:
            goes_on = f"The recording waits for: {expected}."
        elif is_over:
            goes_on = "Everything that was recorded has been played."
        text = (
            f"the client sends {_what(kind)}, and none is left in the recording at this point:\n"
            f"{_indent(_short(actual))}\n{elsewhere}{goes_on}"
        )
        remedies = [r.RECORD_AGAIN, r.TAKE_OUT_THE_STEP]
        if kind == f.USER_INPUT and self.has_decided:
            remedies.append(r.ASK_THE_CLIENT)
        return self._error("extra", turn, text, *remedies, actual=actual)

    def unasked(self, turn: int, actual: Frame) -> CassetteMismatchError:
        """Return the error for an answer to a request that was not sent yet."""
        text = (
            f"the client sends {_what(kind_of(actual))} before it was asked for:\n"
            f"{_indent(_short(actual))}"
        )
        return self._error("request", turn, text, r.RECORD_AGAIN, actual=actual)

    def not_allowed(self, turn: int, call: Frame, reason: str) -> CassetteMismatchError:
        """Return the error for a recorded call that the current rules do not allow."""
        text = (
            "the recording calls one of your tools, and the replay does not run it: "
            f"{reason}.\n{_indent(_short(call))}"
        )
        return self._error("not_allowed", turn, text, r.RECORD_AGAIN, r.RUN_NO_TOOLS, expected=call)

    def ended(self, turn: int) -> CassetteMismatchError:
        """Return the error for a client that waits after the end of a cut-off recording."""
        text = "the recording is partial and ends here, while the client waits for more."
        return self._error("ended", turn, text, r.RECORD_AGAIN)

    def stalled(
        self, turn: int, waiting: Iterable[FrameKey], seconds: float
    ) -> CassetteMismatchError:
        """Return the error for a replay in which both sides wait for each other."""
        keys = tuple(waiting)
        wants = ", ".join(sorted(map(str, keys))) or "the session's end"
        hint = ""
        if any(key.kind == f.HALT for key in keys):
            hint = " The recorded turn was cancelled at this point; this one is not."
        text = (
            f"no message came for {seconds:g} s: the client waits for the harness, and the "
            f"recording waits for the client's {wants}.{hint}"
        )
        return self._error("stalled", turn, text, r.DO_AS_RECORDED, r.RECORD_AGAIN, r.WAIT_LONGER)

    def unplayed(self, turn: int, left: Iterable[Frame]) -> CassetteMismatchError:
        """Return the error for a block that ended before the recording did."""
        frames = list(left)
        lines = "\n".join(f"- {_what(kind_of(frame))}: {_short(frame)}" for frame in frames[:5])
        more = f"\n- and {len(frames) - 5} more" if len(frames) > 5 else ""  # noqa: PLR2004
        text = (
            f"the recording was not played to its end; the client never sent:\n"
            f"{_indent(lines + more)}"
        )
        first = frames[0] if frames else None
        return self._error(
            "unplayed", turn, text, r.RECORD_AGAIN, r.ACCEPT_UNPLAYED, expected=first
        )


def no_session(
    path: str, recorded: int, actual: Frame, *, partial: bool = False
) -> CassetteMismatchError:
    """Return the error for an agent that was not recorded."""
    number = "one agent was" if recorded == 1 else f"{recorded} agents were"
    if partial:
        number += ", and the recording is partial: it, or its file, was cut off"
    return CassetteMismatchError(
        f"{path}: one more agent is started than was recorded ({number}).",
        remedies=(r.RECORD_AGAIN, r.ADD_TO_IT),
        path=path,
        phase="extra",
        session=recorded,
        actual=actual,
    )


def begins_elsewhere(path: str, actual: str, left: dict[int, str]) -> CassetteMismatchError:
    """Return the error for an agent whose conversation no remaining session continues."""
    known = "; ".join(f"session {number} is {begins}" for number, begins in left.items())
    return CassetteMismatchError(
        f"{path}: this agent is {actual}, but the remaining recorded sessions are not: {known}.",
        remedies=(r.DO_AS_RECORDED, r.RECORD_AGAIN),
        path=path,
        phase="extra",
        session=next(iter(left)),
    )


def never_started(path: str, sessions: list[int]) -> CassetteMismatchError:
    """Return the error for recorded agents that were not started."""
    numbers = ", ".join(map(str, sessions))
    return CassetteMismatchError(
        f"{path}: the recording was not played to its end; session {numbers} was never started.",
        remedies=(r.RECORD_AGAIN, r.ACCEPT_UNPLAYED),
        path=path,
        phase="unplayed",
        session=sessions[0],
    )


def _redacted(call: Frame | None) -> str:
    """Describe a difference whose cause is a redaction mark in a tool's arguments."""
    if call is None or SECRET not in json.dumps(call):
        return ""
    return (
        f"\nRedaction is the likely cause: the recorded call holds {SECRET} in the place of a "
        f"value, and the tool got that mark:\n{_indent(_short(call))}"
    )


def _raised(text: str) -> str:
    """Describe the exception of a tool that raised in the replay."""
    return f"\nThe tool raised an exception now:\n{_indent(text)}" if text else ""


def _what(kind: str) -> str:
    return _WHAT.get(kind, f"a frame {kind!r}")


def _short(frame: Frame) -> str:
    text = json.dumps(frame, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
