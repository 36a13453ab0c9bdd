"""Which connection continues the conversation of which other one, from host notes.

A recording has one connection per harness. A fork has its own, and so has an agent after a rewind.
A live runtime has one number per agent, which a rewind does not change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agy_nb.protocol.amounts import counted
from agy_nb.protocol.events import AgentStarted, TurnsAbandoned


@dataclass(slots=True)
class Branch:
    """A connection, or a live agent.

    Attributes:
        number: Its number.
        parent: Number of the connection that it continues, None if it continues none.
        after_turn: The last turn that both have in common, also with a recording; None if it
            continues nothing.
        rewound: Whether it is its parent's agent after a rewind.
        turns: Number of its own turns.
    """

    number: int
    parent: int | None = None
    after_turn: int | None = None
    rewound: bool = False
    turns: int = 0


@dataclass(slots=True, frozen=True)
class _AbandonedBranch:
    """An abandoned branch: its last connection and its turns, as in `_Agent.path`."""

    number: int
    path: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Agent:
    """The connections of one agent of the runtime, and the turns that it has not abandoned."""

    numbers: list[int]
    last: int
    abandoned: list[_AbandonedBranch] = field(default_factory=list)  # one per abandoned branch
    path: list[tuple[int, int]] = field(default_factory=list)  # turn of the conversation, key


@dataclass(slots=True)
class BranchTree:
    """Builds the tree from notes and turns in the order of a recording.

    Attributes:
        branches: All connections with a note, by their number.
    """

    branches: dict[int, Branch] = field(default_factory=dict)
    _agents: dict[int, _Agent] = field(default_factory=dict)
    _agent_of: dict[int, _Agent] = field(default_factory=dict)

    def started(self, number: int, note: AgentStarted) -> Branch:
        """Add the connection of an agent; the runtime repeats the note for each harness."""
        if number in self.branches:
            return self.branches[number]
        branch = self.branches[number] = Branch(number)
        known = self._agents.get(note.agent_id)
        parent = self._agents.get(note.parent_agent_id or 0)
        if known is not None and self._continues(known, note):
            known.numbers.append(number)
        else:
            known = self._agents[note.agent_id] = _Agent([number], note.forked_after_turn or 0)
            branch.after_turn = note.forked_after_turn
            if parent is not None:
                place = (note.parent_branch or 0) - 1
                left = parent.abandoned[place : place + 1] if place >= 0 else []
                branch.parent = left[0].number if left else parent.numbers[-1]
        self._agent_of[number] = known
        return branch

    def _continues(self, known: _Agent, note: AgentStarted) -> bool:
        """Return whether a note is that of the same agent, not of an agent of another runtime."""
        first = self.branches[known.numbers[0]]
        return first.after_turn == note.forked_after_turn

    def turn(self, number: int, key: int) -> None:
        """Add a turn of a connection; the key is returned when it is abandoned."""
        agent = self._agent_of.get(number)
        if agent is not None:
            agent.last += 1
            agent.path.append((agent.last, key))
            self.branches[number].turns += 1

    def forget(self, number: int) -> None:
        """Drop a live agent that has ended: it is never forked again."""
        self.branches.pop(number, None)
        self._agent_of.pop(number, None)
        self._agents.pop(number, None)

    def rewind(self, number: int, note: TurnsAbandoned) -> tuple[list[int], list[int]]:
        """Take a rewind, which the note of the new connection reports.

        Returns:
            Keys of the abandoned turns, and of the turns that are not abandoned any more.
        """
        agent, branch = self._agent_of.get(number), self.branches.get(number)
        if agent is None or branch is None:
            return [], []
        place = (note.branch or 0) - 1
        known = agent.abandoned[place] if 0 <= place < len(agent.abandoned) else None
        last = note.after_turn if known is None or note.turn is None else note.turn
        # A rewind in a recording has a new connection, which is the agent's last one already. A
        # live agent keeps its number.
        before = agent.numbers[-2] if len(agent.numbers) > 1 else number
        if before != number and branch.parent is None:
            branch.parent = before if known is None else known.number
            branch.after_turn, branch.rewound = last, True
        # An agent that goes on with an abandoned branch abandons nothing if it had no turn since.
        # Branches are numbered, so one too many would shift the numbers of later notes.
        if known is None or note.turn_ids:
            agent.abandoned.append(
                _AbandonedBranch(before if branch.rewound else number, tuple(agent.path))
            )
        left = [key for turn, key in agent.path if turn > note.after_turn]
        path = agent.path if known is None else known.path
        agent.path = [(turn, key) for turn, key in path if turn <= last]
        agent.last = last
        return left, [key for turn, key in agent.path if turn > note.after_turn]

    def lines(self) -> list[str]:
        """Return the tree as text; nothing if no connection continues another one."""
        children: dict[int | None, list[Branch]] = {}
        for branch in self.branches.values():
            children.setdefault(branch.parent, []).append(branch)
        if not children.keys() - {None}:
            return []
        found = ["Branches"]

        def add(branch: Branch, depth: int) -> None:
            how = "rewound" if branch.rewound else "fork"
            where = f"after turn {branch.after_turn}" if branch.after_turn else "before turn 1"
            why = "" if branch.parent is None else f", {how} {where} of session {branch.parent}"
            found.append(
                f"{'  ' * depth}Session {branch.number}: {counted(branch.turns, 'turn')}{why}"
            )
            for child in children.get(branch.number, ()):
                add(child, depth + 1)

        for root in children.get(None, ()):
            add(root, 1)
        return found
