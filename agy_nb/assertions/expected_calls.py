"""Compare tool calls with expected ones. Pure functions.

The three orders are the modes of ADK's trajectory evaluation: `"exact"` allows no other call,
`"in_order"` and `"any_order"` allow further calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agy_nb.assertions.observation import ObservedCall
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.amounts import counted

Order: TypeAlias = Literal["exact", "in_order", "any_order"]
CallPattern: TypeAlias = str | tuple[str, Mapping[str, Any]]
"""A tool's name, or its name and some of its arguments."""

_MISSING = object()


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that is expected.

    Attributes:
        tool: Name of the tool.
        args: Arguments that it must have; it may have others.
    """

    tool: str
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """How messages name it, e.g. `a call of get_weather` or `get_weather(city='Paris')`."""
        return call_text(self.tool, self.args) if self.args else f"a call of {self.tool}"

    @property
    def absence(self) -> str:
        """What a message says where no call fits, e.g. `get_weather was not called`."""
        if not self.args:
            return f"{self.tool} was not called"
        return f"no call matches {call_text(self.tool, self.args)}"

    def differences(self, call: ObservedCall) -> list[str]:
        """Return the differences between an observed call and this one, empty if it fits."""
        if call.tool != self.tool:
            return [f"expected a call of {self.tool}"]
        return [
            f"{name}: expected {value_text(wanted)}, got {_got_text(call.args, name)}"
            for name, wanted in self.args.items()
            if not _fits(wanted, call.args.get(name, _MISSING))
        ]

    def fits(self, call: ObservedCall) -> bool:
        """Return whether an observed call is this one."""
        return not self.differences(call)


def call_with(tool: object, args: object, more_args: Mapping[str, Any]) -> ExpectedCall:
    """Return the call that the arguments of `called` and its siblings describe.

    Args:
        tool: Name of the tool.
        args: A mapping of arguments, or None.
        more_args: Arguments that were passed by name.

    Raises:
        InvalidInputError: The name is not a text, or the arguments are not a mapping.
    """
    if not isinstance(tool, str):
        msg = f"the name of a tool must be a text, got {tool!r}"
        raise InvalidInputError(msg, field="tool")
    if args is not None and not isinstance(args, Mapping):
        msg = (
            f"args must be a mapping of names to values, got {value_text(args)}; pass arguments "
            "by their names, e.g. city='Paris'"
        )
        raise InvalidInputError(msg, field="args")
    return ExpectedCall(tool, {**(args or {}), **more_args})


def expected_call(pattern: CallPattern | object) -> ExpectedCall:
    """Read one item of `calls([...])`.

    Args:
        pattern: A name, or a pair of a name and arguments.

    Raises:
        InvalidInputError: It is neither.
    """
    if isinstance(pattern, str):
        return ExpectedCall(pattern)
    match pattern:
        case (str(tool), Mapping() as args):
            return ExpectedCall(tool, dict(args))
    msg = f"a call is a tool's name or a pair (name, arguments), got {pattern!r}"
    raise InvalidInputError(msg, field="expected")


@dataclass(frozen=True, slots=True)
class CallMismatch:
    """The first difference between the calls and the expected ones.

    Attributes:
        message: The difference.
        index: Number of the call that differs, from 0; None if a call is missing at the end.
        details: The differing arguments of that call.
    """

    message: str
    index: int | None
    details: tuple[str, ...] = ()


def first_difference(
    calls: Sequence[ObservedCall], expected: Sequence[ExpectedCall], order: Order | str
) -> CallMismatch | None:
    """Compare all calls with the expected ones.

    Args:
        calls: The calls, oldest first.
        expected: The expected calls.
        order: `"exact"`: these calls and no others. `"in_order"`: these calls in this order, and
            perhaps others. `"any_order"`: each of these calls, and perhaps others.

    Raises:
        InvalidInputError: `order` is unknown.
    """
    match order:
        case "exact":
            return _exact(calls, expected)
        case "in_order":
            return _in_order(calls, expected)
        case "any_order":
            return _any_order(calls, expected)
    msg = f"order must be 'exact', 'in_order' or 'any_order', got {order!r}"
    raise InvalidInputError(msg, field="order")


def nearest(calls: Iterable[ObservedCall], wanted: ExpectedCall) -> CallMismatch | None:
    """Return the differences of the call that is most like an expected one.

    It is None if the tool was not called at all.
    """
    same = [
        (n, wanted.differences(call)) for n, call in enumerate(calls) if call.tool == wanted.tool
    ]
    if not same:
        return None
    index, details = min(same, key=lambda found: len(found[1]))
    return CallMismatch("", index, tuple(details))


def _exact(calls: Sequence[ObservedCall], expected: Sequence[ExpectedCall]) -> CallMismatch | None:
    for number, (call, wanted) in enumerate(zip(calls, expected, strict=False)):
        if details := wanted.differences(call):
            return CallMismatch(
                f"call {number + 1} differs from {call_text(wanted.tool, wanted.args)}",
                number,
                tuple(details),
            )
    if len(calls) > len(expected):
        return CallMismatch(
            f"expected {counted(len(expected), 'call')}, got {len(calls)}",
            len(expected),
            ("this call is not expected",),
        )
    if len(expected) > len(calls):
        return CallMismatch(f"{expected[len(calls)].absence} at the end", None)
    return None


def _in_order(
    calls: Sequence[ObservedCall], expected: Sequence[ExpectedCall]
) -> CallMismatch | None:
    at = 0
    for number, wanted in enumerate(expected):
        found = next((n for n in range(at, len(calls)) if wanted.fits(calls[n])), None)
        if found is None:
            after = f" after {expected[number - 1].words}" if number else ""
            near = nearest(calls[at:], wanted)
            index = None if near is None or near.index is None else near.index + at
            message = f"{wanted.absence}{after}"
            return CallMismatch(message, index, near.details if near else ())
        at = found + 1
    return None


def _any_order(
    calls: Sequence[ObservedCall], expected: Sequence[ExpectedCall]
) -> CallMismatch | None:
    """Give each expected call one of its own; a call that fits two may have to move."""
    owner: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for index, call in enumerate(calls):
            if index in tried or not expected[number].fits(call):
                continue
            tried.add(index)
            if index not in owner or place(owner[index], tried):
                owner[index] = number
                return True
        return False

    for number, wanted in enumerate(expected):
        if not place(number, set()):
            near = nearest(calls, wanted)
            times = sum(1 for each in expected[: number + 1] if each == wanted)
            often = f" {times} times" if times > 1 else ""
            return CallMismatch(
                f"{wanted.absence}{often}",
                near.index if near else None,
                near.details if near else (),
            )
    return None


def _fits(wanted: object, got: object) -> bool:
    if got is _MISSING:
        return False
    if isinstance(wanted, re.Pattern):
        return isinstance(got, str) and wanted.search(got) is not None
    if isinstance(wanted, int | float) and isinstance(wanted, bool) is not isinstance(got, bool):
        return False  # True == 1 in Python, but not in JSON
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return wanted.keys() == got.keys() and all(_fits(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list | tuple) and isinstance(got, list | tuple):
        return len(wanted) == len(got) and all(map(_fits, wanted, got))
    return bool(wanted == got)


def _got_text(args: Mapping[str, Any], name: str) -> str:
    return value_text(args[name]) if name in args else "no such argument"


def value_text(value: object) -> str:
    """Format a value, at most 80 characters."""
    text = f"a match of {value.pattern!r}" if isinstance(value, re.Pattern) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - the limit above


def call_text(tool: str, args: Mapping[str, Any]) -> str:
    """Format a call, e.g. `get_weather(city='Paris')`."""
    return f"{tool}({', '.join(f'{name}={value_text(value)}' for name, value in args.items())})"
