"""Words for a divergence: what was expected, what came, where they differ, what to do."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import MISSING, Difference
from agy_nb.cassette.redaction import SECRET
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire import frames as f
from agy_nb.wire.frames import FrameKey, kind_of

_LONG = 80
_CONTEXT_WORDS = 6
_MOST_LINES = 60
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
_AGAIN = 'record it again with record_mode="all"'


class Reporter:
    """Makes the errors of one session.

    Args:
        path: The cassette's folder.
        session: The recorded session's number.
    """

    def __init__(self, path: str, session: int) -> None:
        self._path = path
        self._session = session

    def _error(
        self,
        phase: str,
        turn: int,
        text: str,
        *,
        expected: Frame | None = None,
        actual: Frame | None = None,
        diff: str = "",
        differs_at: str = "",
    ) -> CassetteMismatchError:
        where = f"{self._path}, session {self._session}" + (f", turn {turn}" if turn else "")
        return CassetteMismatchError(
            f"{where}: {text}",
            path=self._path,
            phase=phase,
            session=self._session,
            turn=turn,
            expected=expected,
            actual=actual,
            diff=diff,
            differs_at=differs_at,
        )

    def differs(
        self,
        turn: int,
        expected: Frame,
        actual: Frame,
        difference: Difference,
        call: Frame | None = None,
    ) -> CassetteMismatchError:
        """The right kind of frame came, with other contents.

        Args:
            turn: Of the session, from 1.
            expected: What was recorded.
            actual: What came.
            difference: Where they differ.
            call: The recorded call of a host tool whose result `expected` is.
        """
        kind = kind_of(expected)
        phase = {f.CONFIG: "config", f.USER_INPUT: "prompt"}.get(kind, "answer")
        diff = diff_of(difference)
        matcher = _MATCHER.get(kind)
        other = f", or leave {matcher!r} out of match_on=" if matcher else ""
        text = (
            f"{_what(kind)} is not what was recorded.\n{difference.path} differs:\n"
            f"{_indent(diff)}\n{_redacted(call)}"
            f"What to do: {_AGAIN}; or, if this difference means nothing, "
            f"ignore=[{difference.path!r}]{other}"
        )
        return self._error(
            phase, turn, text, expected=expected, actual=actual, diff=diff,
            differs_at=difference.path,
        )  # fmt: skip

    def surplus(
        self, turn: int, actual: Frame, waiting: Iterable[FrameKey]
    ) -> CassetteMismatchError:
        """A frame came for which nothing was recorded."""
        kind = kind_of(actual)
        expected = ", ".join(sorted(map(str, waiting)))
        text = (
            f"the client sends {_what(kind)}, and no (further) one was recorded here:\n"
            f"{_indent(_short(actual))}\n"
            + (f"The recording waits for: {expected}.\n" if expected else
               "Everything that was recorded has been played.\n")
            + f"What to do: {_AGAIN}, or take the additional step out of the code"
        )  # fmt: skip
        return self._error("extra", turn, text, actual=actual)

    def unasked(self, turn: int, actual: Frame) -> CassetteMismatchError:
        """An answer came to something that was not asked yet."""
        text = (
            f"the client sends {_what(kind_of(actual))} before it was asked for:\n"
            f"{_indent(_short(actual))}\nWhat to do: {_AGAIN}"
        )
        return self._error("request", turn, text, actual=actual)

    def not_allowed(self, turn: int, call: Frame, reason: str) -> CassetteMismatchError:
        """The recording calls a host tool that today's rules do not let it call."""
        text = (
            "the recording calls one of your tools, and the replay does not run it: "
            f"{reason}.\n{_indent(_short(call))}\n"
            f'What to do: {_AGAIN}; or use tools="replay", which runs no tool and takes the '
            "recorded results. Do that with each cassette that is not your own"
        )
        return self._error("not_allowed", turn, text, expected=call)

    def ended(self, turn: int) -> CassetteMismatchError:
        """The client waits for more, and the recording was cut off here."""
        text = (
            "the recording is partial and ends here, while the client waits for more.\n"
            f"What to do: {_AGAIN}"
        )
        return self._error("ended", turn, text)

    def stalled(
        self, turn: int, waiting: Iterable[FrameKey], seconds: float
    ) -> CassetteMismatchError:
        """The client waits for more, and the recording waits for the client."""
        keys = tuple(waiting)
        wants = ", ".join(sorted(map(str, keys))) or "the session's end"
        hint = ""
        if any(key.kind == f.HALT for key in keys):
            hint = " The recorded turn was cancelled at this point; this one is not."
        text = (
            f"nothing has moved for {seconds:g} s: the client waits for the harness, and the "
            f"recording waits for the client's {wants}.{hint}\n"
            f"What to do: do what was recorded, {_AGAIN}, or allow more time with stall_after="
        )
        return self._error("stalled", turn, text)

    def unplayed(self, turn: int, left: Iterable[Frame]) -> CassetteMismatchError:
        """The block ended before the recording did."""
        frames = list(left)
        lines = "\n".join(f"- {_what(kind_of(frame))}: {_short(frame)}" for frame in frames[:5])
        more = f"\n- and {len(frames) - 5} more" if len(frames) > 5 else ""  # noqa: PLR2004
        text = (
            f"the recording was not played to its end; the client never sent:\n"
            f"{_indent(lines + more)}\n"
            f"What to do: {_AGAIN}, or accept it with allow_unplayed=True"
        )
        return self._error("unplayed", turn, text, expected=frames[0] if frames else None)


def no_session(
    path: str, recorded: int, actual: Frame, *, partial: bool = False
) -> CassetteMismatchError:
    """One more agent is started than was recorded."""
    number = "one agent was" if recorded == 1 else f"{recorded} agents were"
    if partial:
        number += ", and the recording is partial: it, or its file, was cut off"
    return CassetteMismatchError(
        f"{path}: one more agent is started than was recorded ({number}).\n"
        f'What to do: {_AGAIN}, or add to it with record_mode="new_episodes"',
        path=path,
        phase="extra",
        session=recorded,
        actual=actual,
    )


def never_started(path: str, sessions: list[int]) -> CassetteMismatchError:
    """Some recorded agents were not started."""
    numbers = ", ".join(map(str, sessions))
    return CassetteMismatchError(
        f"{path}: the recording was not played to its end; session {numbers} was never started.\n"
        f"What to do: {_AGAIN}, or accept it with allow_unplayed=True",
        path=path,
        phase="unplayed",
        session=sessions[0],
    )


def diff_of(difference: Difference) -> str:
    """A unified diff of one difference; long texts are compared word by word."""
    old, new = _lines(difference.expected), _lines(difference.actual)
    context = 3
    if isinstance(difference.expected, str) and isinstance(difference.actual, str):
        longest = max(map(len, (*old, *new)), default=0)
        if longest > _LONG:
            old, new = _words(difference.expected), _words(difference.actual)
            context = _CONTEXT_WORDS
    diff = list(difflib.unified_diff(old, new, "recorded", "now", lineterm="", n=context))
    if len(diff) > _MOST_LINES:
        diff = [*diff[:_MOST_LINES], f"... {len(diff) - _MOST_LINES} more lines"]
    return "\n".join(diff)


def _lines(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    if value is MISSING:
        return []
    if isinstance(value, str):
        return value.splitlines() or [""]
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


def _words(text: str) -> list[str]:
    return re.findall(r"\S+", text)


def _redacted(call: Frame | None) -> str:
    """The cause of a difference where a tool was called with a mark in the place of a value."""
    if call is None or SECRET not in json.dumps(call):
        return ""
    return (
        f"Redaction is the likely cause: the recorded call holds {SECRET} in the place of a value, "
        f"and the tool got that mark:\n{_indent(_short(call))}\n"
        "If the value is not secret, record again with allow_values=[the value]. If it is, use "
        'tools="replay", which takes the recorded result.\n'
    )


def _what(kind: str) -> str:
    return _WHAT.get(kind, f"a frame {kind!r}")


def _short(frame: Frame) -> str:
    text = json.dumps(frame, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
