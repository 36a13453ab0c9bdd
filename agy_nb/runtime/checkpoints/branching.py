"""Fork an agent after an earlier turn, and take an agent back to one.

A fork gets a copy of the harness's file in a folder of its own, and the same conversation id. Going
back puts the copy into the agent's own file, while its harness is closed. In a replay there is no
such file: the recording has the sessions of forks and of agents that went back.

Rule 1: forks of one family start one after the other, so that a replay finds them in the order of
the recording: their configurations are alike.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.errors import CheckpointError, InvalidConfigError
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.events import TurnsAbandoned
from agy_nb.protocol.labels import checked_labels
from agy_nb.protocol.turn_numbers import index_of
from agy_nb.protocol.values import Message
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.checkpoints.checkpoint_log import (
    AbandonedTurns,
    Checkpoint,
    CheckpointLog,
    turn_ids_of,
)
from agy_nb.runtime.checkpoints.workspace_copy import copy_workspaces, remove_copies
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.interfaces.agent_spec import AgentSpec, BranchPoint
from agy_nb.sdk.process import temporary_folders
from agy_nb.sdk.process.executor import run_in_thread

if TYPE_CHECKING:
    from agy_nb.runtime.agent_state import AgentState


@dataclass(frozen=True, slots=True)
class ForkPayload:
    """Payload of `Fork`: the Python objects of the new agent.

    Attributes:
        spec: The new agent without its configuration, which is the parent's with `changes`.
        changes: The user's changes of the parent's configuration: a mapping, an object, or None.
        ask_user: The approval handler.
    """

    spec: AgentSpec
    changes: Any = None
    ask_user: AskUser | None = None


StartAgent = Callable[[AgentSpec, AskUser | None, CheckpointLog], Awaitable[r.Reply]]
"""Starts an agent with these checkpoints."""


async def fork(
    state: AgentState, message: c.Fork, payload: ForkPayload | None, start: StartAgent
) -> r.Reply:
    """Start an agent that continues the conversation of another one.

    Args:
        state: The parent.
        message: The command.
        payload: The Python objects of the new agent; None for those of the parent.
        start: Starts the new agent.

    Raises:
        InvalidInputError: The turn or the branch does not exist.
        CheckpointError: The state after that turn was not kept, or is damaged.
    """
    spec = state.spec if payload is None else payload.spec
    changes = (message.config or None) if payload is None else payload.changes
    ask_user = state.ask_user if payload is None else payload.ask_user
    labels = spec.labels if message.labels is None else checked_labels(message.labels)
    config = await _changed(state.spec.config, changes)
    copies: list[str] = []
    async with state.checkpoints.forking:
        turn, path = await _found(state, message)
        log = state.checkpoints.branch(path[: turn + 1])
        branch = await _branch_point(state, path[turn], turn, changes)
        try:
            branch = replace(branch, parent_branch=message.branch)
            if message.workspace == "copy":
                copies = await _copied_workspaces(config)
                config = await _changed(config, {"workspaces": copies})
            spec = replace(spec, labels=labels, config=config, branch=branch)
            with _not_in_the_recording(state):
                return await start(spec, ask_user, log)
        except BaseException:
            if copies:
                await run_in_thread(remove_copies, copies)
            await log.close()
            if branch.save_dir is not None:
                await run_in_thread(temporary_folders.remove, branch.save_dir)
            raise


@contextlib.contextmanager
def _not_in_the_recording(state: AgentState) -> Iterator[None]:
    """Explain why a live harness does not know the conversation of a replayed agent.

    With `new_episodes`, a session that the recording does not have is started live.
    """
    is_replay = state.session.database is None
    try:
        yield
    except InvalidConfigError as error:
        if not is_replay or error.field != "conversation_id":
            raise
        raise CheckpointError(
            f"agent {state.agent_id} is replayed, and its recording does not have this fork or "
            "rewind. A replay has no state to continue live: record the whole program again with "
            "record_mode='all'"
        ) from error


async def _copied_workspaces(config: Any) -> list[str]:
    from agy_nb.sdk.config.changed_config import workspaces_of

    folders = workspaces_of(config)
    if folders is None:  # the SDK's default
        folders = [await run_in_thread(os.getcwd)]
    return await run_in_thread(copy_workspaces, folders)


async def _changed(config: Any, changes: Any) -> Any:
    if changes is None:
        return config
    from agy_nb.sdk.config.changed_config import changed

    if isinstance(config, Mapping):
        return changed(config, changes)
    return await run_in_thread(changed, config, changes)  # the SDK's checks read the disk


async def _found(state: AgentState, message: c.Fork) -> tuple[int, list[Checkpoint]]:
    """Return the turn as a number from 0, and the checkpoints that lead to it."""
    log = state.checkpoints
    path = log.path(message.branch)
    now_wanted = message.turn is None and message.branch is None
    if now_wanted and not state.is_idle:
        await state.idle_signal()
    await state.ended_turns_kept()
    where = "the conversation" if state.is_idle else "the conversation, without the turn that runs,"
    turn = index_of(message.turn, len(path) - 1, where)
    last = path is log.entries and turn == log.turns
    missing = not path[turn].pages and not path[turn].is_new
    if last and missing and state.is_idle and (database := state.session.database) is not None:
        await log.copy_now(database)
    return turn, path


async def _branch_point(
    state: AgentState, checkpoint: Checkpoint, turn: int, changes: Any
) -> BranchPoint:
    """Put a copy of the conversation where the new agent finds it."""
    from agy_nb.sdk.config.changed_config import value_of

    session, folder = state.session, value_of(changes, "save_dir")
    point = BranchPoint(parent_agent_id=state.agent_id, after_turn=turn)
    if checkpoint.is_new:
        return replace(point, save_dir=folder)
    conversation = checkpoint.conversation_id or session.conversation_id
    point = replace(point, conversation_id=conversation)
    if session.database is None:  # a replay
        return replace(point, save_dir=folder)
    pages = await _pages(state, checkpoint, turn)
    try:
        folder = await run_in_thread(_write, folder, f"{conversation}.db", pages)
    except OSError as error:
        raise CheckpointError(f"the copy for the fork cannot be written: {error}") from error
    return replace(point, save_dir=folder)


async def _pages(state: AgentState, checkpoint: Checkpoint, turn: int) -> list[bytes]:
    """Read the copy of a checkpoint, or the conversation itself if only that is undamaged."""
    log = state.checkpoints
    try:
        return await log.pages_of(checkpoint, turn)
    except CheckpointError:
        database = state.session.database
        if checkpoint is not log.entries[-1] or not state.is_idle or database is None:
            raise
    from agy_nb.runtime.checkpoints.database import read_pages  # loads sqlite3

    return await run_in_thread(read_pages, database)


def _write(folder: str | None, name: str, pages: list[bytes]) -> str:
    from agy_nb.cassette.storage.atomic_replace import write_file

    if folder is None:
        folder = temporary_folders.new_folder()
    else:
        Path(folder).mkdir(parents=True, exist_ok=True)
        if Path(folder, name).exists():
            raise InvalidConfigError(
                f"save_dir {folder!r} holds this conversation already; use another folder for the "
                "fork, or omit save_dir",
                field="save_dir",
            )
    write_file(Path(folder, name), b"".join(pages), mode=0o600)
    return folder


async def rewind(state: AgentState, message: c.Rewind) -> r.Reply:
    """Take an agent back to an earlier turn, or to a turn of a branch that it has abandoned.

    Args:
        state: The agent. Turns that run or wait are ended first.
        message: The command.

    Raises:
        InvalidInputError: The turn or the branch does not exist.
        CheckpointError: The state after that turn was not kept, or is damaged.
    """
    log = state.checkpoints
    async with state.turn:
        while state.own_turn is not None:
            await state.own_turn.over.wait()
        path = log.path(message.branch)
        turn = index_of(message.turn, len(path) - 1)
        common = log.shared(path[: turn + 1])
        if common == turn == log.turns:
            return r.Rewound(turn=turn)
        session = state.session
        log.note_conversation(session.conversation_id)
        checkpoint = path[turn]
        restore, restored = None, session.database is not None and checkpoint.is_new
        if (session.database is not None or checkpoint.pages) and not checkpoint.is_new:
            pages = await log.pages_of(checkpoint, turn)

            def restore(path: Path) -> None:
                from agy_nb.runtime.checkpoints.database import replace_content

                nonlocal restored
                replace_content(path, pages)
                restored = True

        note = TurnsAbandoned(
            agent_id=state.agent_id,
            after_turn=common,
            turn_ids=turn_ids_of(log.entries[common + 1 :]),
            branch=message.branch,
            turn=None if message.branch is None else turn,
            restored_turn_ids=turn_ids_of(path[common + 1 : turn + 1]),
            at=now(),
        )
        shared = 0 if state.spec.branch is None else state.spec.branch.after_turn
        kept = -1 if checkpoint.is_new else max(0, turn - shared)
        before = _messages_after(session.conversation.history(), log.turns, common)
        left: AbandonedTurns | None = None

        def went() -> None:
            nonlocal left
            left = log.go_to(turn, message.branch)
            state.on_event(note)
            for watch in tuple(state.branch_watchers):
                watch()

        try:
            with _not_in_the_recording(state):
                await session.go_back(
                    restore, note, turns=kept, conversation_id=checkpoint.conversation_id
                )
        finally:
            if restored:  # also if no harness starts: the next prompt starts one
                went()
        if not restored:
            went()
        if left is None:
            return r.Rewound(turn=turn)
        left.messages.extend(before)
        return r.Rewound(turn=turn, branch=left.number)


def _messages_after(messages: tuple[Message, ...], turns: int, turn: int) -> tuple[Message, ...]:
    """Return the messages after a turn, of a conversation with this many turns.

    Turns are counted from the end, because a resumed conversation has earlier messages.
    """
    begins = [
        index
        for index, message in enumerate(messages)
        if message.role == "user" and message.trajectory.is_root
    ]
    after = turns - turn
    return messages[begins[max(0, len(begins) - after)] :] if after and begins else ()
