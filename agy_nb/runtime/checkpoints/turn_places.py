"""Where the branches of a conversation part, and which of them an agent can continue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agy_nb.runtime.checkpoints.checkpoint_log import Checkpoint, CheckpointLog


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnVersion:
    """A turn that follows the same earlier turns as its siblings.

    Attributes:
        turn_id: The runtime's number of the turn.
        branch: Number of the abandoned branch that it is part of; None for the agent's own turn.
        why_not: Why the agent cannot continue its branch; empty if it can.
    """

    turn_id: int
    branch: int | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPlace:
    """A turn of an agent's conversation, with the abandoned turns that it replaced.

    Attributes:
        turn: Number of the turn in the conversation, from 1.
        turn_id: The runtime's number of the agent's own turn, 0 if it is not known; None after the
            last one, where only abandoned turns follow.
        versions: The turns at this place, oldest first.
        why_not: Why the agent cannot go back before this turn; empty if it can.
    """

    turn: int
    turn_id: int | None
    versions: tuple[TurnVersion, ...]
    why_not: str = ""


def turn_places(log: CheckpointLog, *, is_replay: bool) -> tuple[TurnPlace, ...]:
    """Return the turns of a conversation in order, each with its siblings on abandoned branches.

    Turns without a number and without siblings are left out: those of a recording that the agent
    continues, and very old ones of an agent without copies.

    Args:
        log: The checkpoints of the agent.
        is_replay: Whether a recording has the states, so that no copies are needed.
    """
    return tuple(_places(log, is_replay=is_replay))


def _places(log: CheckpointLog, *, is_replay: bool) -> Iterator[TurnPlace]:
    own = log.entries
    shared = {each.number: log.shared(each.checkpoints) for each in log.abandoned}
    for turn in range(1, len(own) + 1):
        versions: dict[int, TurnVersion] = {}
        for each in log.abandoned:  # of several branches with this turn, the latest counts
            if shared[each.number] == turn - 1 and len(each.checkpoints) > turn:
                key = each.checkpoints[turn].turn_id
                why_not = _why_not(each.checkpoints[-1], is_replay=is_replay)
                versions[key] = TurnVersion(turn_id=key, branch=each.number, why_not=why_not)
        mine = own[turn].turn_id if turn < len(own) else None
        if mine is not None:
            versions[mine] = TurnVersion(turn_id=mine)
        if versions.keys() - {0}:
            yield TurnPlace(
                turn=turn,
                turn_id=mine,
                versions=tuple(versions[key] for key in sorted(versions)),
                why_not=_why_not(own[turn - 1], is_replay=is_replay),
            )


def _why_not(checkpoint: Checkpoint, *, is_replay: bool) -> str:
    if is_replay or checkpoint.is_new or checkpoint.pages:
        return ""
    return checkpoint.missing or "there is no copy"
