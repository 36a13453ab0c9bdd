"""The checkpoints of one agent: the state of its conversation after each turn.

A branch begins with the checkpoints of its parent up to the turn where they part. Going back moves
the later checkpoints to an abandoned branch, from which an agent can be forked as well.

Rule 1: a checkpoint that cannot be taken is marked with the reason. It never fails a turn.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakSet

from agy_nb.errors import CheckpointError, InvalidInputError
from agy_nb.protocol.events import MOST_ABANDONED
from agy_nb.protocol.values import Message
from agy_nb.runtime.checkpoints.page_store import PageStore
from agy_nb.sdk.interfaces.open_session import Session
from agy_nb.sdk.process.executor import run_in_thread

NOT_KEPT = "its runtime keeps no checkpoints; create it with RuntimeConfig(checkpoints='all')"
_RESUMED = "the agent resumed a conversation, whose state at that time was not copied"
_REBUILT = (
    "the agent continues a recording, and earlier states were not kept; use agy.fork() with the "
    "recording and that turn"
)
_DISTURBED = "the next prompt was sent at once, before a copy could be made"
_TOO_OLD = "only the last ones are kept, see RuntimeConfig(checkpoints='last N')"
_TOO_MANY_BYTES = "it was dropped for newer ones, see RuntimeConfig(checkpoint_bytes=...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a conversation after a turn.

    Attributes:
        turn_id: The runtime's number of the turn; 0 for the state before the first turn.
        conversation_id: Id of the conversation, once the agent has gone back; None for that of
            the agent.
        pages: Digests of the pages of the harness's file.
        missing: Why there is no copy; empty if there is one.
        is_new: Whether it is the beginning of a conversation, which needs no copy.
    """

    turn_id: int = 0
    conversation_id: str | None = None
    pages: tuple[bytes, ...] = field(default=(), repr=False)
    missing: str = ""
    is_new: bool = False

    def is_turn_of(self, other: Checkpoint) -> bool:
        """Return whether both are the end of the same turn; two agents never share a number."""
        return self.turn_id == other.turn_id


_UNNUMBERED = Checkpoint(missing=NOT_KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonedTurns:
    """The turns that an agent has left by going back.

    Attributes:
        number: Number of this branch within its agent, from 1.
        after_turn: The last turn that the agent has kept.
        checkpoints: All checkpoints, from the beginning to the end of the branch.
        messages: The messages of the abandoned turns.
    """

    number: int
    after_turn: int
    checkpoints: list[Checkpoint] = field(repr=False)
    messages: list[Message] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many checkpoints are kept.

    Attributes:
        turns: Most checkpoints per agent; None for all of them, 0 for none.
        size: Most bytes on disk, of an agent and its branches together.
    """

    turns: int | None
    size: int


class _Family:
    """What an agent and its branches share. The lock is held while pages are added or dropped."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.logs: WeakSet[CheckpointLog] = WeakSet()
        self.lock, self.forking = asyncio.Lock(), asyncio.Lock()
        self.store: PageStore | None = None  # made for the first copy


class CheckpointLog:
    """The checkpoints of one agent, and its abandoned branches.

    Args:
        limits: How many checkpoints to keep.

    Attributes:
        entries: The state before the first turn, and after each turn.
        abandoned: Branches that `go_to` made, oldest first.
    """

    def __init__(self, limits: Limits) -> None:
        self.entries: list[Checkpoint] = [Checkpoint(is_new=True)]
        self.abandoned: list[AbandonedTurns] = []
        self._branches = 0
        self._family = _Family(limits)
        self._family.logs.add(self)

    def was_resumed(self) -> None:
        """Note that the agent continues the conversation of an earlier agent."""
        self.entries[0] = Checkpoint(missing=_RESUMED)

    def was_rebuilt(self, turns: int) -> None:
        """Note that the agent continues a recording after this many turns."""
        self.entries += [Checkpoint(missing=_REBUILT)] * turns

    def branch(self, checkpoints: Iterable[Checkpoint]) -> CheckpointLog:
        """Return the checkpoints of a new branch, which shares the pages of these checkpoints."""
        made = CheckpointLog(self._family.limits)
        made.entries = list(checkpoints)
        made._family = self._family
        made._family.logs.add(made)
        return made

    @property
    def turns(self) -> int:
        """The number of turns from the beginning of the conversation."""
        return len(self.entries) - 1

    @property
    def size(self) -> int:
        """Bytes on disk, of this agent and its branches together."""
        return 0 if self._family.store is None else self._family.store.size

    def path(self, branch: int | None = None) -> list[Checkpoint]:
        """Return the checkpoints of the agent, or of one of its abandoned branches.

        Raises:
            InvalidInputError: The agent has not left such a branch.
        """
        if branch is None:
            return self.entries
        for each in self.abandoned:
            if each.number == branch and not isinstance(branch, bool):
                return each.checkpoints
        known = ", ".join(str(each.number) for each in self.abandoned) or "none"
        msg = f"branch must be the number of an abandoned branch (here: {known}), got {branch!r}"
        raise InvalidInputError(msg, field="branch")

    async def keep(self, turn_id: int, session: Session) -> None:
        """Add the checkpoint of a turn that ended.

        Args:
            turn_id: The runtime's number of the turn.
            session: The conversation, which is idle.
        """
        database = session.database if self._family.limits.turns != 0 else None
        entry = Checkpoint(turn_id=turn_id, missing=NOT_KEPT)
        if database is None:
            self.entries.append(entry)
            old = len(self.entries) - 1 - MOST_ABANDONED
            if old > 0 and not self._branches:  # branches are compared by the numbers
                self.entries[old] = _UNNUMBERED
            return
        async with self._family.lock:
            taken = await self._copied(entry, database)
            # After the copy: a prompt that was sent while it was made may be in it.
            if session.in_turn:
                taken = replace(entry, missing=_DISTURBED)
            self.entries.append(taken)
            await self._prune()

    @property
    def forking(self) -> asyncio.Lock:
        """Held while a fork of this agent or of its branches starts."""
        return self._family.forking

    async def keep_rebuilt(self, session: Session) -> None:
        """Copy the conversation of an agent that continues a recording, before its first prompt."""
        database = session.database if self._family.limits.turns != 0 else None
        if database is not None and self.turns:
            async with self._family.lock:
                self.entries[-1] = await self._copied(self.entries[-1], database)

    async def copy_now(self, database: Path) -> None:
        """Copy the idle conversation as it is, if there is no copy of its last turn.

        Raises:
            CheckpointError: The file cannot be copied.
        """
        async with self._family.lock:
            taken = await self._copied(self.entries[-1], database)
            if taken.missing:
                raise CheckpointError(f"the conversation cannot be copied: {taken.missing}")
            self.entries[-1] = taken

    async def _copied(self, entry: Checkpoint, database: Path) -> Checkpoint:
        try:
            if self._family.store is None:
                self._family.store = PageStore()
            pages = await run_in_thread(_copy, self._family.store, database)
        except (CheckpointError, OSError) as error:
            return replace(entry, missing=f"no copy could be made: {error}")
        return replace(entry, pages=pages, missing="")

    async def pages_of(self, checkpoint: Checkpoint, turn: int) -> list[bytes]:
        """Read the copy of a checkpoint.

        Raises:
            CheckpointError: The copy is missing or damaged.
        """
        why: object = checkpoint.missing
        store = self._family.store
        if checkpoint.pages and store is not None:
            try:
                return await run_in_thread(store.read, checkpoint.pages)
            except CheckpointError as error:
                why = error
        when = f"after turn {turn}" if turn else "before turn 1"
        raise CheckpointError(
            f"the state of the conversation {when} cannot be restored: {why or 'there is no copy'}"
        )

    async def _prune(self) -> None:
        """Drop the oldest copies beyond the limits."""
        limits = self._family.limits
        if limits.turns is not None and self._drop(limits.turns, _TOO_OLD):
            await self._free()
        most = max((len(_held(path)) for path in self._paths()), default=0)
        while self.size > limits.size and most > 1:
            most //= 2
            self._drop(most, _TOO_MANY_BYTES)
            await self._free()

    def _paths(self) -> list[list[Checkpoint]]:
        logs = tuple(self._family.logs)
        left = [each.checkpoints for log in logs for each in log.abandoned]
        return [log.entries for log in logs] + left

    def _drop(self, most: int, why: str) -> bool:
        """Keep only the latest copies of each path; return whether one was dropped."""
        old = [(path, index) for path in self._paths() for index in _held(path)[:-most]]
        for path, index in old:
            path[index] = replace(path[index], pages=(), missing=why)
        return bool(old)

    async def _free(self) -> None:
        assert self._family.store is not None
        live = {page for path in self._paths() for each in path for page in each.pages}
        await run_in_thread(self._family.store.keep_only, live)

    def note_conversation(self, conversation_id: str | None) -> None:
        """Note the id of the agent's conversation: going back before turn 1 begins another one."""
        self.entries[:] = [
            each
            if each.is_new or each.conversation_id
            else replace(each, conversation_id=conversation_id)
            for each in self.entries
        ]

    def shared(self, path: list[Checkpoint]) -> int:
        """Return the number of turns that a path has in common with the agent's own."""
        return shared_turns(self.entries, path)

    def go_to(self, turn: int, branch: int | None = None) -> AbandonedTurns | None:
        """Continue after a turn; the agent's own turns that are not on the way are abandoned.

        Args:
            turn: The last turn to keep, from 0.
            branch: The abandoned branch of this turn; None for the agent's own turns. A branch that
                is continued at its end is not abandoned any more.

        Returns:
            The new abandoned branch; None if the agent leaves no turn.
        """
        kept = self.path(branch)[: turn + 1]
        shared, left = self.shared(kept), None
        if branch is not None and len(kept) == len(self.path(branch)):
            self.abandoned = [each for each in self.abandoned if each.number != branch]
        if shared < self.turns:
            self._branches += 1
            left = AbandonedTurns(
                number=self._branches, after_turn=shared, checkpoints=list(self.entries)
            )
            self.abandoned.append(left)
        self.entries[:] = kept
        return left

    async def close(self) -> None:
        """Remove the copies, unless a branch still needs them."""
        self._family.logs.discard(self)
        if not self._family.logs and self._family.store is not None:
            await run_in_thread(self._family.store.remove)


def turn_ids_of(checkpoints: Iterable[Checkpoint]) -> tuple[int, ...]:
    """Return the runtime's numbers of turns, as far as they are kept."""
    return tuple(each.turn_id for each in checkpoints if each.turn_id)


def shared_turns(first: Sequence[Checkpoint], second: Sequence[Checkpoint]) -> int:
    """Return the number of turns that two paths of a conversation have in common."""
    both = zip(first[1:], second[1:], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda two: two[0].is_turn_of(two[1]), both))


def _held(path: list[Checkpoint]) -> list[int]:
    return [index for index, each in enumerate(path) if each.pages]


def _copy(store: PageStore, database: Path) -> tuple[bytes, ...]:
    from agy_nb.runtime.checkpoints.database import read_pages  # loads sqlite3

    return store.add(read_pages(database))
