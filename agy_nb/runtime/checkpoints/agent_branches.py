"""The methods of an agent that fork it and take it back to an earlier turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from agy_nb.errors import InvalidInputError
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.labels import checked_labels
from agy_nb.protocol.turn_numbers import number_or_none
from agy_nb.protocol.values import Message
from agy_nb.runtime.agent_state import AgentState
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.checkpoints.branching import ForkPayload
from agy_nb.runtime.checkpoints.checkpoint_log import CheckpointLog, turn_ids_of
from agy_nb.runtime.checkpoints.turn_places import TurnPlace, turn_places
from agy_nb.runtime.watchers import added
from agy_nb.sdk.config.agent_settings import AgentSettings, listed, with_settings
from agy_nb.sdk.config.changed_config import workspaces_of
from agy_nb.sdk.deadlocks import running
from agy_nb.views import views

if TYPE_CHECKING:
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.widgets.comparison.branches_view import BranchesView


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonedBranch:
    """The turns that an agent has left with `Agent.rewind`. `Agent.fork` can continue them.

    Attributes:
        number: Number of the branch within its agent, from 1, for `Agent.fork(branch=...)`.
        after_turn: The last turn that the agent has kept.
        turns: The number of turns from the beginning of the conversation to the end of the branch.
        turn_ids: Numbers of the abandoned turns in the tables.
        messages: The messages of the abandoned turns.
    """

    number: int
    after_turn: int
    turns: int
    turn_ids: tuple[int, ...] = ()
    messages: tuple[Message, ...] = field(default=(), repr=False)


def _abandoned_branches(log: CheckpointLog) -> tuple[AbandonedBranch, ...]:
    """Return the abandoned branches of an agent, oldest first."""
    return tuple(
        AbandonedBranch(
            number=each.number,
            after_turn=each.after_turn,
            turns=len(each.checkpoints) - 1,
            turn_ids=turn_ids_of(each.checkpoints[each.after_turn + 1 :]),
            messages=tuple(each.messages),
        )
        for each in log.abandoned
    )


class AgentBranches(ABC):
    """Fork an agent, and take it back. `Agent` has these methods."""

    id: int
    runtime: Runtime
    _state: AgentState

    @abstractmethod
    def _must_be_started(self) -> None:
        """Raise `AgentNotStartedError` if the agent accepts no commands."""

    async def fork(
        self,
        turn: int | None = None,
        *,
        branch: int | None = None,
        config: Any = None,
        tools: Sequence[Callable[..., Any]] | None = None,
        policies: Sequence[Any] | None = None,
        hooks: Sequence[Any] | None = None,
        ask_user: AskUser | None = None,
        labels: Mapping[str, str] | None = None,
        workspace: Literal["share", "copy"] = "share",
        **settings: Unpack[AgentSettings],
    ) -> Agent:
        """Start another agent whose conversation begins with the turns of this one.

        Both agents continue independently. Turns are counted from the beginning of the
        conversation, also in forks of forks. A fork of an earlier turn needs a checkpoint, see
        `RuntimeConfig(checkpoints=...)`; the current state can always be forked. Without `turn`,
        the method waits for a running turn.

        The fork keeps its conversation in a private folder, which is removed when it ends. To
        resume it later, pass `config={"save_dir": ...}`.

        Args:
            turn: The last turn that both have in common: 1 for the first, 0 for the beginning of
                the conversation, -1 for the last; None for the conversation as it is.
            branch: Number of an abandoned branch, from `abandoned`; None for the agent's own turns.
            config: Changes of the configuration: a mapping of the fields that differ, or a
                configuration object to use instead. This agent's configuration when None.
            tools: Host functions instead of those that were passed with this agent.
            policies: Policies instead of those that were passed with this agent.
            hooks: Hooks instead of those that were passed with this agent.
            ask_user: The approval handler; this agent's when None.
            labels: Labels of the new agent; this agent's when None.
            workspace: `"share"` works on the same files; `"copy"` works on a copy of the workspaces
                as they are now, see `workspaces`. A clean git repository is copied as a worktree,
                any other folder file by file, up to 1 GB.
            **settings: Fields of the configuration that differ, by name, such as `model="..."`.

        Returns:
            The new agent, started.

        Raises:
            InvalidInputError: The turn or the branch does not exist, or the workspace cannot be
                copied.
            CheckpointError: The state after that turn was not kept, or is damaged.
            InvalidConfigError: The SDK or agy_nb rejects the changed configuration.
            DeadlockError: Called without `turn` by code that the running turn waits for.

        Example:
            >>> response = await (await agent.chat("My name is Ada"))
            >>> other = await agent.fork()
            >>> [message.content for message in await other.history()][:1]
            ['My name is Ada']
        """
        self._must_be_started()
        turn = number_or_none("turn", turn)
        if workspace not in ("share", "copy"):
            msg = f"workspace must be 'share' or 'copy', got {workspace!r}"
            raise InvalidInputError(msg, field="workspace")
        if turn is None and branch is None and running.get() is not None:
            self._state.must_not_wait_for_itself()
        if settings:
            config = with_settings(config, settings)
        spec = self._state.spec
        handler = self._state.ask_user if ask_user is None else ask_user
        spec = replace(
            spec,
            tools=spec.tools if tools is None else listed("tools", tools),
            policies=spec.policies if policies is None else listed("policies", policies),
            hooks=spec.hooks if hooks is None else listed("hooks", hooks),
            labels=spec.labels if labels is None else checked_labels(labels),
            answer=getattr(handler, "answer", None),
            asks_user=spec.asks_user or ask_user is not None,
            edits=getattr(handler, "edits", False) is True,
        )
        command = c.Fork(agent_id=self.id, turn=turn, branch=branch, workspace=workspace)
        reply = await self.runtime.submit(command, ForkPayload(spec, config, handler))
        assert isinstance(reply, r.AgentCreated)
        return self.runtime.handle_of(reply.agent_id, handler)

    async def rewind(self, turn: int, *, branch: int | None = None) -> None:
        """Go back to an earlier turn: the turns after it are abandoned.

        The model does not know the abandoned turns any more. Files and other effects of tools stay
        as they are. The turns stay in the tables, marked as abandoned, and their tokens count. An
        item of `abandoned` names them. `fork` can continue them, and so can this method with their
        branch: then the agent's own turns that are not part of it are abandoned. The method waits
        for turns that run or wait.

        Args:
            turn: The last turn to keep: 1 for the first, 0 for the beginning of the conversation,
                -1 for the last, which changes nothing without a branch.
            branch: Number of an abandoned branch, from `abandoned`; None for the agent's own turns.

        Raises:
            InvalidInputError: The turn or the branch does not exist.
            CheckpointError: The state after that turn was not kept, or is damaged. The agent is
                unchanged.
            DeadlockError: Called by a tool, a hook or a handler that the agent's turn waits for.

        Example:
            >>> for word in ("one", "two"):
            ...     response = await (await agent.chat(word))
            >>> await agent.rewind(1)
            >>> [message.content for message in await agent.history() if message.role == "user"]
            ['one']
            >>> await agent.rewind(-1, branch=1)  # forward again
            >>> [message.content for message in await agent.history() if message.role == "user"]
            ['one', 'two']
        """
        self._must_be_started()
        self._state.must_not_wait_for_itself()
        number = number_or_none("turn", turn)
        if number is None:
            msg = "turn must be a whole number, got None; use -1 for the last turn"
            raise InvalidInputError(msg, field="turn")
        await self.runtime.submit(c.Rewind(agent_id=self.id, turn=number, branch=branch))

    @property
    def workspaces(self) -> tuple[str, ...]:
        """The folders that the agent works in.

        The copies of a fork with `workspace="copy"` stay after its end. Remove them yourself, a git
        worktree with `git worktree remove`.

        Example:
            >>> import os
            >>> agent.workspaces == (os.getcwd(),)  # the default
            True
        """
        folders = workspaces_of(self._state.spec.config)
        return (str(Path.cwd()),) if folders is None else tuple(folders)

    @property
    def abandoned(self) -> tuple[AbandonedBranch, ...]:
        """The turns that the agent has left with `rewind`, oldest first.

        Example:
            >>> for word in ("one", "two"):
            ...     response = await (await agent.chat(word))
            >>> await agent.rewind(1)
            >>> [branch] = agent.abandoned
            >>> branch.after_turn, branch.turns, branch.messages[0].content
            (1, 2, 'two')
        """
        return _abandoned_branches(self._state.checkpoints)

    async def turn_places(self) -> tuple[TurnPlace, ...]:
        """Return the turns of the conversation, with the abandoned turns that they replaced.

        The method waits for the checkpoints of the turns that are over.

        Returns:
            The places in the order of the conversation.

        Raises:
            AgentNotStartedError: The agent has not started, or has ended.

        Example:
            >>> for word in ("one", "two"):
            ...     response = await (await agent.chat(word))
            >>> await agent.rewind(1)
            >>> response = await (await agent.chat("other"))
            >>> [len(place.versions) for place in await agent.turn_places()]
            [1, 2]
        """
        self._must_be_started()
        await self._state.ended_turns_kept()
        is_replay = self._state.session.database is None
        return turn_places(self._state.checkpoints, is_replay=is_replay)

    async def compare_branches(self, *branches: int | Agent) -> BranchesView:
        """Show two branches of the conversation side by side, with differences in words.

        Args:
            branches: One to compare with the agent's own turns, or two to compare with each other:
                the number of an abandoned branch, from `abandoned`, or an agent that was forked.

        Returns:
            A view; the last line of a cell shows it.

        Raises:
            InvalidInputError: A branch does not exist, or the number of branches is not 1 or 2.
            AgentNotStartedError: An agent has not started, or has ended.

        Example:
            >>> for word in ("one", "two"):
            ...     response = await (await agent.chat(word))
            >>> await agent.rewind(1)
            >>> response = await (await agent.chat("other"))
            >>> view = await agent.compare_branches(1)
            >>> [run.prompt for run in view.pair.rows[0]]
            ['other', 'two']
        """
        self._must_be_started()
        if len(branches) not in (1, 2):
            msg = f"pass one or two branches to compare, got {len(branches)}"
            raise InvalidInputError(msg, field="branches")
        for each in branches:
            if isinstance(each, bool) or not isinstance(each, int | AgentBranches):
                msg = f"a branch must be a number from `abandoned` or an agent, got {each!r}"
                raise InvalidInputError(msg, field="branches")
        sides = (None, *branches) if len(branches) == 1 else branches
        return await views().branches_view(cast("Agent", self), sides)

    def watch_branches(self, watch: Callable[[], None]) -> Callable[[], None]:
        """Call a function each time that the agent went to another turn.

        Args:
            watch: Called on the runtime's loop; it must not block or raise.

        Returns:
            A function that stops the calls; it may be called twice.
        """
        return added(self._state.branch_watchers, watch)
