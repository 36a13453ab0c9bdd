"""What a reader remembers of one connection: its trajectories and their steps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from agy_nb.protocol.events import Approval, Event, Problem, Question
from agy_nb.protocol.values import JsonObject, TokenUsage, Trajectory
from agy_nb.wire.frames import Frame


@dataclass(slots=True, eq=False)
class OpenStep:
    """The state of one step so far."""

    index: int
    state: str = ""
    text: int = 0
    thinking: int = 0
    streams: bool = False
    tool: str | None = None
    call_id: str | None = None
    server: str | None = None
    args: JsonObject = field(default_factory=dict)
    label: str = ""
    asked: bool = False


@dataclass(slots=True, eq=False)
class OpenTrajectory:
    """The state of one trajectory so far.

    Steps are kept for the turn in which they were last seen and the one after it, so that a long
    session takes no more memory than a short one.

    Attributes:
        where: The trajectory, with the most that is known of it.
        closed: The highest step that is not kept any more; older steps are not read.
        reading: The latest reading of its token counter.
        last_text_step: The step of its latest text, None before the first.
        denied: Calls that were refused and whose step is still to come.
        announced: Calls that hooks or policies were asked about and that have not begun.
    """

    where: Trajectory
    closed: int = -1
    reading: TokenUsage = field(default_factory=TokenUsage)
    last_text_step: int | None = None
    denied: deque[Announced] = field(default_factory=deque)
    announced: deque[Announced] = field(default_factory=deque)
    steps: dict[int, OpenStep] = field(default_factory=dict)
    _before: dict[int, OpenStep] = field(default_factory=dict)

    def step(self, index: int) -> OpenStep | None:
        """Return a step; begin a new one. None for a step that ended long ago."""
        step = self.steps.get(index)
        if step is None:
            step = self._before.pop(index, None)
            if step is None:
                if index <= self.closed:
                    return None
                step = OpenStep(index)
            self.steps[index] = step
        return step

    def begin_announced(self, tool: str, call_id: str) -> Announced | None:
        """Return the announced call that begins now, which is not announced any more."""
        for known in self.announced:
            if (call_id and known.call_id == call_id) or (not call_id and known.tool == tool):
                self.announced.remove(known)
                return known
        return None

    def next_turn(self) -> None:
        """Forget the steps of the turn before the last one."""
        if self._before:
            self.closed = max(self.closed, *self._before)
        self._before, self.steps = self.steps, {}
        self.denied.clear()
        self.announced.clear()


@dataclass(slots=True, eq=False)
class Announced:
    """A tool call that a hook or a policy was asked about."""

    trajectory: OpenTrajectory
    call_id: str
    tool: str
    args: JsonObject
    server: str | None = None


_DEEPEST = 1_000
"""Levels of subagents; a frame that says more makes no sense."""


@dataclass(slots=True)
class Connection:
    """What the readers of steps, calls and usage share.

    Attributes:
        config: The frame with the configuration, empty before it came.
        host_tools: Names of the host functions.
        hosted: Whether host notes come with the frames: the notes then have the turns' states, what
            ended them, and the approvals, so that none of these is derived from frames.
        policies: Calls by the id of the request to a policy that has no answer yet.
        hooks: Calls by the id of the request to a hook that has no answer yet.
        approvals: Approvals that wait, by the id of the request to the policy.
        questions: Questions to the user that wait, by trajectory and step.
    """

    hosted: bool = False
    config: Frame = field(default_factory=dict)
    host_tools: frozenset[str] = frozenset()
    trajectories: dict[str, OpenTrajectory] = field(default_factory=dict)
    problems: list[Event] = field(default_factory=list)
    policies: dict[str, Announced] = field(default_factory=dict)
    hooks: dict[str, Announced] = field(default_factory=dict)
    approvals: dict[str, Approval] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)

    def trajectory(self, trajectory_id: str, parent_id: str = "", depth: int = 0) -> OpenTrajectory:
        """Return a trajectory; begin a new one. A parent that comes later is filled in."""
        known = self.trajectories.get(trajectory_id)
        if known is None:
            where = self._where(trajectory_id, parent_id, depth)
            known = self.trajectories[trajectory_id] = OpenTrajectory(where)
        elif parent_id and known.where.parent_id is None:
            known.where = self._where(trajectory_id, parent_id, depth)
        elif _DEEPEST >= depth > known.where.depth and known.where.parent_id is not None:
            known.where = self._where(trajectory_id, known.where.parent_id, depth)
        return known

    def _where(self, trajectory_id: str, parent_id: str, depth: int) -> Trajectory:
        if parent_id == trajectory_id:  # a trajectory cannot be its own parent
            parent_id = ""
        if parent_id and depth < 1:
            above = self.trajectories.get(parent_id)
            depth = 1 if above is None else above.where.depth + 1
        return Trajectory(
            id=trajectory_id,
            parent_id=parent_id or None,
            depth=min(depth, _DEEPEST) if parent_id else 0,
        )

    def problem(self, problem: str, detail: str, at: float) -> None:
        """Note that a frame holds something that makes no sense."""
        self.problems.append(Problem(problem=problem, detail=detail, at=at))
