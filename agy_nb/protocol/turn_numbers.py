"""The numbers by which users name the turns of a conversation."""

from __future__ import annotations

from agy_nb.errors import InvalidInputError
from agy_nb.protocol.amounts import counted


def must_be_number(name: str, value: object) -> None:
    """Check the type of the number of a turn or of a session.

    Args:
        name: Name of the argument.
        value: The argument.

    Raises:
        InvalidInputError: It is neither a whole number nor None.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        msg = f"{name} must be a whole number or None, got {value!r}"
        raise InvalidInputError(msg, field=name)


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
