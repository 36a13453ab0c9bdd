"""What a cell of the table is: a phase, a fault, and what the user is to see."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from agy_nb.testing import ModelTurn, ProxiedConnection


class Phase(StrEnum):
    """What goes on when the fault comes."""

    START = "start"
    IDLE = "idle"
    STREAMING = "streaming"
    TOOL = "tool"
    APPROVAL = "approval"
    SHUTDOWN = "shutdown"


ANSWER = "the answer"
"""What is seen where nothing goes wrong."""
ENDED = "it ends"
"""What is seen of a shutdown where nothing goes wrong."""


Undo: TypeAlias = Callable[[], None]
Act: TypeAlias = Callable[[ProxiedConnection | None, Path], Undo | Awaitable[None] | None]
"""Takes the line of the agent's harness and the folder that the agent saves to; may give what
undoes it in the end."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the user sees, and when.

    Attributes:
        what: `ANSWER`, `ENDED`, or the error's class and its first words; several where chance
            decides.
        within: Seconds, on a machine that has little else to do.
    """

    what: tuple[str, ...]
    within: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        name: In the table.
        seen: For each phase that the fault can come in.
        act: Does it.
        early: Whether it is done before an agent starts, not once its harness is up.
        answer: The model's answer in the turn that the fault comes in; None: a good one.
        blocks: Whether the agent's tool blocks its thread.
        stall: Seconds that the event loop may stall at the most: far below what the SDK itself
            would block it for, far above a busy machine's own pauses.
        telling: The phases that are tried in every run of the tests.
    """

    name: str
    seen: Mapping[Phase, Seen]
    act: Act | None = None
    early: bool = False
    answer: ModelTurn | None = None
    blocks: bool = False
    stall: float = 2.0
    telling: frozenset[Phase] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of a cell.

    Attributes:
        pace: How many times as long as usual a sound start took right before: 1 or more.
        seen: What the user saw.
        seconds: Until then.
        stall: Seconds of the event loop's longest stall.
        next_turn: What ended the same agent's next turn; empty: it answered. None: there is none.
        next_agent: What ended another agent of the same runtime; empty: it answered.
        left: What was left of the agents once the runtime was closed, in words; empty: nothing.
        logged: What Python itself had to say of errors that nobody took.
    """

    pace: float
    seen: str
    seconds: float
    stall: float
    next_turn: str | None
    next_agent: str
    left: str
    logged: tuple[str, ...] = ()
