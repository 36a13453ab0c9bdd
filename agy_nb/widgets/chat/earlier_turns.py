"""The turns from before a panel, taken apart so that each branch shows its own.

Events and messages do not have the runtime's numbers of turns. Both are in the order of the turns,
and the last ones are known, so turns are matched from the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agy_nb.protocol.events import Event, SessionOpened, TurnBegan
from agy_nb.protocol.values import Message

Turn = tuple[Event, ...]
"""The events of a turn, or a `SessionOpened` with its messages."""


def split(events: Iterable[Event]) -> tuple[Turn, list[Turn]]:
    """Take events apart.

    Args:
        events: The events of a session, e.g. from `Agent.past_events`.

    Returns:
        The events before the first turn, and those of each turn.
    """
    turns: list[list[Event]] = [[]]
    for event in events:
        if isinstance(event, SessionOpened):
            head, *messages = _of_messages(event.history)
            turns[-1] += head
            turns += [list(each) for each in messages]
        elif isinstance(event, TurnBegan):
            turns.append([event])
        else:
            turns[-1].append(event)
    return tuple(turns[0]), [tuple(turn) for turn in turns[1:]]


def _of_messages(messages: Iterable[Message]) -> list[Turn]:
    turns: list[list[Message]] = [[]]
    for message in messages:
        if message.role == "user" and message.trajectory.is_root:
            turns.append([])
        turns[-1].append(message)
    return [(SessionOpened(resumed=True, history=tuple(each)),) if each else () for each in turns]


def by_number(turns: Sequence[Turn], numbers: Sequence[int]) -> tuple[Turn, dict[int, Turn]]:
    """Match turns with the runtime's numbers of turns, from the end.

    Args:
        turns: The turns, oldest first.
        numbers: Numbers of turns, oldest first.

    Returns:
        The events of turns without a number, and the turns by number.
    """
    known = dict(zip(reversed(numbers), reversed(turns), strict=False))
    first = tuple(event for turn in turns[: len(turns) - len(known)] for event in turn)
    return first, known
