"""The numbers by which users name the turns of a conversation."""

from __future__ import annotations

import operator

from agy_nb.errors import InvalidInputError
from agy_nb.protocol.amounts import counted


def whole_number(value: object) -> int | None:
    """Return a whole number as Python's own, None if the value is not one.

    NumPy's whole numbers count too, because those of a DataFrame are NumPy's. Truth values and
    arrays of several numbers do not.
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # else the TypeError
    except TypeError:
        return None


def number_or_none(name: str, value: object) -> int | None:
    """Return the number of a turn, of a session or of a branch, None for None.

    Args:
        name: Name of the argument.
        value: The argument.

    Raises:
        InvalidInputError: It is neither a whole number nor None.
    """
    number = whole_number(value)
    if number is None and value is not None:
        msg = f"{name} must be a whole number or None, got {value!r}"
        raise InvalidInputError(msg, field=name)
    return number


def index_of(turn: int | None, turns: int, where: str = "the conversation") -> int:
    """Return a turn of a conversation as a number from 0.

    Args:
        turn: 1 for the first turn, 0 for the beginning, -1 for the last turn; None for the end.
        turns: How many turns there are.
        where: Name of the conversation, for the error.

    Raises:
        InvalidInputError: The turn is out of range.
    """
    if turn is None:
        return turns
    found = turn if turn >= 0 else turns + 1 + turn
    if turn > turns or (turn < 0 and found < 1):
        raise InvalidInputError(
            f"turn {turn} is out of range, {where} has {counted(turns, 'turn')}: use 1 for the "
            "state after the first turn, 0 for the beginning, or -1 for the last turn",
            field="turn",
        )
    return found
