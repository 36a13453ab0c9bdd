"""Read two branches of a conversation: the turns in common, then the turns of both in pairs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from agy_nb.errors import InvalidInputError
from agy_nb.experiments.read_turn import with_facts
from agy_nb.experiments.results import RunResult
from agy_nb.protocol.values import Message
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.checkpoints.checkpoint_log import Checkpoint, shared_turns
from agy_nb.widgets.comparison.answer_cards import NO_TURN

if TYPE_CHECKING:
    from agy_nb.analysis.tables import Tables

_Texts = Mapping[int, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BranchPair:
    """Two branches of a conversation.

    Attributes:
        names: Their names.
        common: The turns that both have, oldest first.
        rows: The turns after these, in pairs. A branch that ends earlier has runs that did not
            start.
    """

    names: tuple[str, str]
    common: tuple[RunResult, ...]
    rows: tuple[tuple[RunResult, RunResult], ...]


@dataclass(frozen=True, slots=True)
class _Side:
    name: str
    path: Sequence[Checkpoint]
    texts: _Texts


async def read_branches(agent: Agent, sides: Sequence[int | Agent | None]) -> BranchPair:
    """Read the turns of two branches from the messages and the tables.

    Args:
        agent: The agent.
        sides: Two numbers of abandoned branches, agents that were forked, or None for the agent's
            own turns.

    Raises:
        InvalidInputError: A branch does not exist, or an agent belongs to another runtime.
        AgentNotStartedError: An agent has ended.
    """
    first, second = [await _side(agent, each) for each in sides]
    common = shared_turns(first.path, second.path)
    tables = agent.runtime.tables
    return await asyncio.to_thread(_pair, first, second, common, tables)


async def _side(agent: Agent, side: int | Agent | None) -> _Side:
    if isinstance(side, Agent):
        if side.runtime is not agent.runtime:
            raise InvalidInputError(
                f"agent {side.id} belongs to another runtime; compare an agent with its forks",
                field="branches",
            )
        agent, side = side, None
    await agent.turn_places()  # the turns that are over have their numbers
    log = agent._state.checkpoints  # noqa: SLF001 - the turns of all branches
    path = list(log.path(side))
    texts: dict[int, tuple[str, str]] = {}
    for each in log.abandoned:
        texts |= _texts(each.messages, each.checkpoints)
    texts |= _texts(await agent.history(), log.entries)
    name = f"Agent {agent.id}" if side is None else f"Branch {side}"
    return _Side(name, path, texts)


def _texts(messages: Iterable[Message], path: Sequence[Checkpoint]) -> dict[int, tuple[str, str]]:
    """Return prompts and answers by the number of the turn, matched from the end."""
    turns = list(_turns(messages))
    pairs = zip(reversed(path[1:]), reversed(turns), strict=False)
    return {checkpoint.turn_id: turn for checkpoint, turn in pairs if checkpoint.turn_id}


def _turns(messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    prompt, answer = None, ""
    for message in messages:
        if not message.trajectory.is_root:
            continue
        if message.role == "user":
            if prompt is not None:
                yield prompt, answer
            prompt, answer = message.content, ""
        elif message.role == "model":
            answer = message.content  # the last one of a turn is the answer
    if prompt is not None:
        yield prompt, answer


def _pair(first: _Side, second: _Side, common: int, tables: Tables) -> BranchPair:
    from agy_nb.analysis.tables import Tables

    tables = Tables(cache(tables.frame))  # each table is built and priced once, not per turn
    both = replace(first, name=f"{first.name} and {second.name}")
    shared = [_read(both, turn, tables) for turn in range(1, common + 1)]
    turns = range(common + 1, max(len(first.path), len(second.path)))
    rows = [(_read(first, turn, tables), _read(second, turn, tables)) for turn in turns]
    return BranchPair(
        (first.name, second.name),
        tuple(shared),
        tuple(_filled(left, right) for left, right in rows),
    )


def _filled(left: RunResult, right: RunResult) -> tuple[RunResult, RunResult]:
    """Give a missing turn the prompt of the other one, which is then the head of both."""
    if left.error == NO_TURN:
        left = replace(left, prompt=right.prompt)
    if right.error == NO_TURN:
        right = replace(right, prompt=left.prompt)
    return left, right


def _read(side: _Side, turn: int, tables: Tables) -> RunResult:
    run = RunResult(side.name, 1, turn, "")
    if turn >= len(side.path):
        return replace(run, error=NO_TURN)
    number = side.path[turn].turn_id
    prompt, answer = side.texts.get(number, ("", ""))
    run = replace(run, prompt=prompt, answer=answer, status="ok")
    return with_facts(run, tables, number)
