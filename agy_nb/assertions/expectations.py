"""`expect(response).called("get_weather", city="Paris")`: assertions on what an agent did."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Literal, NoReturn, Self, get_args

from agy_nb.assertions.errors import ExpectationError
from agy_nb.assertions.expected_calls import (
    CallMismatch,
    CallPattern,
    ExpectedCall,
    Order,
    call_with,
    expected_call,
    first_difference,
    nearest,
)
from agy_nb.assertions.observation import Spent
from agy_nb.assertions.observe import cost_of, observe
from agy_nb.assertions.snapshots import redacted, running_snapshot, snapshot_text
from agy_nb.assertions.trajectory_text import trajectory_text
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.turn_numbers import whole_number

Decision = Literal[
    "pending", "allow", "edited", "deny", "answered", "timeout", "failed", "cancelled"
]
"""How an approval was decided, as in the column `decision` of the table `approvals`."""

DECISIONS: tuple[str, ...] = get_args(Decision)


def expect(subject: object, *, turn: int | None = None) -> Expectation:
    """Check in a test what an agent did.

    It works the same on a live turn, on a replayed one, and on recordings.

    Args:
        subject: A response whose turn is over, a list of responses, sessions from `agy.load`, or a
            list of the SDK's chunks (`[chunk async for chunk in response.chunks]`).
        turn: Number of the turn of recorded sessions, from 1; all turns by default.

    Returns:
        The assertions, whose methods you can chain.

    Raises:
        InvalidInputError: `subject` cannot be used, its turn still runs, or the turn is unknown.

    Example:
        >>> response = await (await agent.chat("Use get_weather for Paris"))
        >>> agy.expect(response).called("get_weather", city="Paris").says("sunny")
        <Expectation: 1 turn, 1 tool call>
        >>> agy.expect(response).called("get_weather", city="Rome")
        Traceback (most recent call last):
        agy_nb.assertions.errors.ExpectationError: no call matches get_weather(city='Rome')
          prompt    'Use get_weather for Paris'
        > call      get_weather(city='Paris')  [approved]
                    ^ city: expected 'Rome', got 'Paris'
          answer    'get_weather says: sunny in Paris'
    """
    return Expectation(subject, turn=turn)


class Expectation:
    """Assertions on what an agent did. Each returns the expectation, so you can chain them.

    A failed assertion raises `ExpectationError`, which is an `AssertionError`. It prints what the
    agent did, and marks the first difference. Secrets are redacted in it.

    An expected argument can be a value, a compiled regular expression, which is searched in a
    text, or an object with an `==` of its own, e.g. `pytest.approx(0.5)` or `unittest.mock.ANY`.
    Arguments that you do not name do not matter.

    Args:
        subject: As for `expect`.
        turn: As for `expect`.
    """

    def __init__(self, subject: object, *, turn: int | None = None) -> None:
        self._subject = subject
        self._turn = turn
        self._seen = observe(subject, turn=turn)

    def called(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        /,
        *,
        times: int | None = None,
        **more_args: Any,
    ) -> Self:
        """Check that a tool was called.

        Args:
            tool: Name of the tool.
            args: Arguments whose names Python does not allow as keywords, or are `times`.
            times: How often; at least once by default.
            **more_args: Arguments of the call.

        Raises:
            ExpectationError: No call fits, or more or fewer than `times` do.
            InvalidInputError: An argument has a wrong type.
        """
        __tracebackhide__ = True
        wanted = call_with(tool, args, more_args)
        if times is not None and ((number := whole_number(times)) is None or number < 0):
            msg = f"times must be a whole number >= 0, got {times!r}"
            raise InvalidInputError(msg, field="times")
        fitting = sum(map(wanted.fits, self._seen.calls))
        if times is None and not fitting:
            self._fail(self._missing(wanted))
        if times is not None and fitting != times:
            self._fail(
                CallMismatch(
                    f"expected {wanted.words} {counted(times, 'time')}, got {fitting}", None
                )
            )
        return self

    def not_called(
        self, tool: str | None = None, args: Mapping[str, Any] | None = None, /, **more_args: Any
    ) -> Self:
        """Check that a tool was not called, or that no tool was.

        Args:
            tool: Name of the tool; any tool by default.
            args: Arguments of the call.
            **more_args: Arguments of the call.

        Raises:
            ExpectationError: There is such a call.
            InvalidInputError: An argument has a wrong type.
        """
        __tracebackhide__ = True
        absent = call_with("any tool" if tool is None else tool, args, more_args)
        for index, call in enumerate(self._seen.calls):
            wanted = ExpectedCall(call.tool if tool is None else tool, absent.args)
            if wanted.fits(call):
                which = "no tool call" if tool is None else f"no call of {tool}"
                self._fail(CallMismatch(f"expected {which}", index, ("this call matches",)))
        return self

    def calls(self, expected: Sequence[CallPattern], *, order: Order = "exact") -> Self:
        """Check all tool calls at once.

        Args:
            expected: Names of tools, or pairs of a name and arguments.
            order: `"exact"`: these calls in this order, and no others. `"in_order"`: these calls
                in this order, and perhaps others. `"any_order"`: these calls, each as often as it
                is named, and perhaps others.

        Raises:
            ExpectationError: The calls differ.
            InvalidInputError: `order` or an item of `expected` cannot be used.

        Example:
            >>> sessions = agy.load("cassettes/approval_granted")
            >>> agy.expect(sessions).calls([("get_weather", {"city": "Oslo"})])
            <Expectation: 1 turn, 1 tool call>
        """
        __tracebackhide__ = True
        if isinstance(expected, str | Mapping) or not isinstance(expected, Iterable):
            msg = f"expected must be a list of calls, got {expected!r}"
            raise InvalidInputError(msg, field="expected")
        wanted = [expected_call(pattern) for pattern in expected]
        mismatch = first_difference(self._seen.calls, wanted, order)
        if mismatch is not None:
            self._fail(mismatch)
        return self

    def says(self, pattern: str | re.Pattern[str]) -> Self:
        """Check the answer, which is the root agent's text.

        Args:
            pattern: A regular expression that is searched in the answer, as `match` of
                `pytest.raises`. Use `re.escape` for a text with special characters.

        Raises:
            ExpectationError: The answer has no match, or the source keeps no texts.
            InvalidInputError: The pattern is not a regular expression.
        """
        __tracebackhide__ = True
        try:
            compiled = re.compile(pattern)
            compiled.search("")  # a pattern of bytes searches no text
        except (re.error, TypeError) as error:
            msg = f"{pattern!r} is not a regular expression: {error}; use re.escape for plain text"
            raise InvalidInputError(msg, field="pattern") from error
        text = self._seen.text
        if text is None:
            self._fail("the answer is not known: load the sessions with text=True")
        if compiled.search(text) is None:
            self._fail(f"the answer does not match {compiled.pattern!r}")
        return self

    def asked_approval(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        /,
        *,
        decision: Decision | None = None,
        **more_args: Any,
    ) -> Self:
        """Check that a call of a tool needed approval.

        Args:
            tool: Name of the tool.
            args: Arguments whose names Python does not allow as keywords, or are `decision`.
            decision: How it was decided; it does not matter by default.
            **more_args: Arguments of the call.

        Raises:
            ExpectationError: No call fits, or it was decided in another way.
            InvalidInputError: An argument has a wrong type, or `decision` is unknown.
        """
        __tracebackhide__ = True
        wanted = call_with(tool, args, more_args)
        if decision is not None and decision not in DECISIONS:
            msg = f"decision must be one of {', '.join(map(repr, DECISIONS))}, got {decision!r}"
            raise InvalidInputError(msg, field="decision")
        if not self._seen.knows_approvals:
            self._fail("approvals are not known: the SDK's chunks do not have them")
        fitting = [n for n, call in enumerate(self._seen.calls) if wanted.fits(call)]
        if not fitting:
            self._fail(self._missing(wanted))
        asked = [n for n in fitting if self._seen.calls[n].decision is not None]
        if not asked:
            self._fail(
                CallMismatch(
                    f"{wanted.words} needed no approval",
                    fitting[0],
                    ("not asked for approval",),
                )
            )
        decisions = [self._seen.calls[n].decision for n in asked]
        if decision is not None and decision not in decisions:
            found = f"decision: expected {decision!r}, got {decisions[0]!r}"
            self._fail(
                CallMismatch(f"{wanted.words} was decided in another way", asked[0], (found,))
            )
        return self

    def cost_below(self, usd: float) -> Self:
        """Check the cost of the model calls.

        It reads the price table on first use, which takes half a second.

        Args:
            usd: The limit in US dollars, which the cost must not reach.

        Raises:
            ExpectationError: The cost is higher, or it is not known.
        """
        __tracebackhide__ = True
        return self._below("cost", cost_of(self._subject, turn=self._turn), usd, "${:,.6g}")

    def tokens_below(self, tokens: int) -> Self:
        """Check the tokens of the model calls, with subagents.

        Args:
            tokens: The limit, which the sum of input and output must not reach.

        Raises:
            ExpectationError: There are more, or their number is not known.
        """
        __tracebackhide__ = True
        return self._below("number of tokens", self._seen.tokens, tokens, "{:,}")

    def turns_below(self, turns: int) -> Self:
        """Check the number of turns.

        Args:
            turns: The limit, which the number must not reach.

        Raises:
            ExpectationError: There are more.
        """
        __tracebackhide__ = True
        return self._below("number of turns", Spent(self._seen.n_turns), turns, "{:,}")

    def matches_snapshot(self, snapshot: object = None) -> Self:
        """Compare prompts, tool calls and answers with a snapshot of an earlier run.

        Times and ids are left out or replaced by fixed words, and secrets are redacted.

        Args:
            snapshot: The fixture `snapshot` of syrupy, or a `snapshot()` of inline-snapshot. By
                default it is syrupy's fixture of the running test.

        Raises:
            ExpectationError: The snapshot differs.
            InvalidInputError: The running test has no fixture `snapshot`.
        """
        __tracebackhide__ = True
        expected = running_snapshot() if snapshot is None else snapshot
        text = snapshot_text(self._seen)
        if text != expected:
            self._fail("the snapshot differs; run pytest with --snapshot-update to accept this")
        return self

    def _missing(self, wanted: ExpectedCall) -> CallMismatch:
        near = nearest(self._seen.calls, wanted)
        index, details = (near.index, near.details) if near else (None, ())
        return CallMismatch(wanted.absence, index, details)

    def _below(self, what: str, spent: Spent, limit: float, form: str) -> Self:
        __tracebackhide__ = True
        if not _is_number(limit):
            raise InvalidInputError(f"the limit must be a number, got {limit!r}", field="limit")
        least = "at least " if spent.is_lower_bound else ""
        why = f": {spent.why}" if spent.why else ""
        if spent.amount is None:
            self._fail(f"the {what} is not known{why}")
        if spent.amount >= limit or spent.is_lower_bound:
            self._fail(
                f"the {what} is {least}{form.format(spent.amount)}, expected below "
                f"{form.format(limit)}{why}"
            )
        return self

    def _fail(self, mismatch: CallMismatch | str) -> NoReturn:
        __tracebackhide__ = True
        if isinstance(mismatch, str):
            mismatch = CallMismatch(mismatch, None)
        raise ExpectationError(
            redacted(f"{mismatch.message}\n{trajectory_text(self._seen, mismatch)}")
        )

    def _repr_html_(self) -> str:
        """Show the steps in a notebook."""
        steps = escape(redacted(trajectory_text(self._seen)))
        return f"<p>{escape(self._counts)}</p><pre style='white-space:pre-wrap'>{steps}</pre>"

    @property
    def _counts(self) -> str:
        return (
            f"{counted(self._seen.n_turns, 'turn')}, {counted(len(self._seen.calls), 'tool call')}"
        )

    def __repr__(self) -> str:
        return f"<Expectation: {self._counts}>"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
