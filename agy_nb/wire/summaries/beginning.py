"""Where the conversation of a connection begins: at its first turn, or after a fork or rewind.

The configurations of an agent and of its forks are alike, so a replay needs this to find the
recorded session of a fork.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agy_nb.protocol.events import AgentStarted, Event, TurnsAbandoned


@dataclass(frozen=True, slots=True)
class Beginning:
    """The state that a connection continues.

    Attributes:
        turn: The last turn before it; None where the agent is neither a fork nor went back.
        rewound: Whether the agent went back, instead of being a fork.
        branch: The abandoned branch that it continues, None if it continues none.

    Example:
        >>> print(Beginning(turn=2))
        a fork after turn 2
    """

    turn: int | None = None
    rewound: bool = False
    branch: int | None = None

    def __str__(self) -> str:
        if self.turn is None:
            return "neither a fork nor a rewind"
        what = "a rewind to" if self.rewound else "a fork after"
        of = "" if self.branch is None else f" of branch {self.branch}"
        return f"{what} turn {self.turn}{of}"


def beginning_of(notes: Iterable[Event]) -> Beginning | None:
    """Return where a connection begins, None if its notes do not say it.

    Args:
        notes: Its host notes.

    Example:
        >>> print(beginning_of([TurnsAbandoned(agent_id=1, after_turn=1)]))
        a rewind to turn 1
    """
    found = None
    for note in notes:
        if isinstance(note, TurnsAbandoned):  # the runtime starts another harness for it
            turn = note.after_turn if note.turn is None else note.turn
            return Beginning(turn, rewound=True, branch=note.branch)
        if isinstance(note, AgentStarted):
            found = Beginning(note.forked_after_turn, branch=note.parent_branch)
    return found
