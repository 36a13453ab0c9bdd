"""The command protocol in plain Python: what each reply may be, and how each turn stands.

The model has no tasks, no futures and no channel. It is told of commands, of what the model (the
language model, that is), tools and people do, and of time; it tells the replies that are allowed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import agy_nb as agy
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.events import TurnState

TOKENS = 15
WAITER_S = 0.5
"""What a waiter for the quota adds, with dice that always fall low."""


@dataclass(eq=False)
class Turn:
    """A prompt on its way. `due` is when silence, the person's time or the quota's wait is over."""

    number: int
    text: str
    said: str = ""
    said_now: str = ""
    works: bool = False
    state: TurnState = TurnState.QUEUED
    error: type | None = None
    attempts: int = 0
    begun: bool = False
    asked: str | None = None
    due: float | None = None
    tokens: int = 0
    hits_seen: int = 0
    hit_counted: bool = False
    failed_last: bool = False


@dataclass(eq=False)
class Agent:
    """An agent that runs: its turns, oldest first, and what queries are answered with."""

    number: int
    turns: list[Turn] = field(default_factory=list)
    messages: tuple[tuple[str, str], ...] = ()
    count: int = 0
    path: list[object] = field(default_factory=list)  # turns, for forks and rewinds
    shared: int = 0  # of these, the turns of its parent
    branches: int = 0
    abandoned: dict[int, list[object]] = field(default_factory=dict)
    total: int | None = None
    latest: int | None = None
    views: list[dict[type, object]] = field(default_factory=list)

    def view(self) -> dict[type, object]:
        """The answer to every query, as it is now."""
        said = [text for role, text in self.messages if role == "model"]
        return {
            c.GetHistory: self.messages,
            c.GetTurnCount: self.count,
            c.GetTotalUsage: self.total,
            c.GetLastTurnUsage: self.latest,
            c.GetCompactionIndices: (),
            c.GetLastResponse: said[-1] if said else None,
            c.IsIdle: not self.turns,
        }


@dataclass(eq=False)
class Call:
    """A command that was sent. `allowed` are the replies it may get, None while it must wait."""

    command: object
    due: float | None = None
    allowed: tuple[object, ...] | None = None


class Model:
    """See the module. `limits` are those of the runtime's configuration."""

    def __init__(self, limits: dict[str, float]) -> None:
        self.limits = limits
        self.now = 0.0
        self.closed = False
        self.agents: dict[int, Agent] = {}
        self.waiting: dict[Call, int] = {}
        self.ran: list[str] = []
        self.hits, self.deadline, self.recorded = 0, 0.0, 0
        self._agents_made = self._turns_made = 0

    # -- commands ----------------------------------------------------------------------------

    def send(self, *commands: object) -> list[Call]:
        """Commands sent at once: a query may see any state from before them to after them."""
        before = {number: len(agent.views) - 1 for number, agent in self.agents.items()}
        known = dict(self.agents)
        calls = [Call(command) for command in commands]
        for call in calls:
            if self.closed:
                call.allowed = (agy.ChannelClosedError,)
            elif call.command.kind is not c.Kind.QUERY:
                self._carry_out(call)
        for call in calls:
            if call.command.kind is c.Kind.QUERY and call.allowed is None:
                number = call.command.agent_id
                agent = self.agents.get(number) or known.get(number)
                views = agent.views[before.get(number, 0) :] if agent else []
                call.allowed = tuple(view[type(call.command)] for view in views)
                if number not in known or number not in self.agents:
                    call.allowed += (agy.BackendError,)
            if (
                self.closed
                and call.allowed is not None
                and not isinstance(call.command, c.Shutdown)
            ):
                call.allowed += (agy.ChannelClosedError,)
        return calls

    def _carry_out(self, call: Call) -> None:  # noqa: C901, PLR0912 - a case a command
        command, done = call.command, (r.Done(),)
        if isinstance(command, c.CreateAgent):
            self._create(call)
            return
        if isinstance(command, c.Shutdown):
            call.allowed = done
            self.close()
            return
        agent = self.agents.get(command.agent_id)
        if agent is None:
            call.allowed = (agy.BackendError,)
            return
        call.allowed = done
        match command:
            case c.Chat() | c.Send():
                turn = self._queue(agent, command.prompt[0].text)
                if isinstance(command, c.Chat):
                    call.allowed = (r.ChatStarted(agent_id=agent.number, turn_id=turn.number),)
            case c.Cancel():
                if agent.turns:
                    self.cancel(agent, agent.turns[0])
            case c.WaitForIdle() if agent.turns:
                self._wait(call, agent.number, math.inf)
            case c.SignalIdle():
                self._release(agent, c.WaitForIdle)
            case c.WaitForWakeup():
                self._wait(call, agent.number, command.timeout)
            case c.Fork():
                self._fork(call, agent)
            case c.Rewind():
                self._rewind(call, agent)
            case c.ClearHistory():
                agent.messages, agent.count = (), 0
                self._touch(agent)
            case c.ShutdownAgent() | c.Disconnect() | c.Delete():
                self._end_agent(agent)

    def _create(self, call: Call) -> None:
        self._agents_made += 1
        match call.command.config.get("open"):
            case "fails":
                call.allowed = (agy.BackendError,)
            case "hangs":
                self._wait(call, 0, self.limits["start_timeout"])
            case _:
                agent = self.agents[self._agents_made] = Agent(self._agents_made)
                agent.views.append(agent.view())
                call.allowed = (r.AgentCreated(agent_id=agent.number),)

    def _fork(self, call: Call, parent: Agent) -> None:
        turn = self._turn(call, parent.path)
        if turn is None:
            return
        self._agents_made += 1
        agent = Agent(self._agents_made, path=parent.path[:turn], shared=turn)
        self.agents[agent.number] = agent
        agent.views.append(agent.view())
        call.allowed = (r.AgentCreated(agent_id=agent.number),)

    def _rewind(self, call: Call, agent: Agent) -> None:
        number = call.command.branch
        path = agent.path if number is None else agent.abandoned.get(number)
        turn = None if path is None else self._turn(call, path)
        if path is None:
            call.allowed = (agy.InvalidInputError,)
        if path is None or turn is None:
            return
        call.allowed = (r.Rewound(turn=turn),)
        kept, before = path[:turn], agent.path
        if kept == before:
            return
        if number is not None and kept == path:
            del agent.abandoned[number]
        if kept[: len(before)] != before:  # turns are left behind
            agent.branches += 1
            agent.abandoned[agent.branches] = before
            call.allowed = (r.Rewound(turn=turn, branch=agent.branches),)
        agent.path, agent.count, agent.messages = kept, max(0, turn - agent.shared), ()
        self._touch(agent)
        self._release(agent, c.WaitForWakeup)

    def _turn(self, call: Call, path: list[object]) -> int | None:
        """The turn that a fork or a rewind names, from 0; None if it is refused."""
        named, turns = call.command.turn, len(path)
        turn = turns if named is None else named if named >= 0 else turns + 1 + named
        if turn > turns or (named is not None and named < 0 and turn < 1):
            call.allowed = (agy.InvalidInputError,)
            return None
        return turn

    def _wait(self, call: Call, agent: int, seconds: float) -> None:
        call.allowed, call.due = None, self.now + seconds
        self.waiting[call] = agent

    def _release(self, agent: Agent, kind: type) -> None:
        for call, number in tuple(self.waiting.items()):
            if number == agent.number and isinstance(call.command, kind):
                call.allowed = (r.Woken(woken=True) if kind is c.WaitForWakeup else r.Done(),)
                del self.waiting[call]

    def abandon(self, call: Call) -> None:
        """Whoever sent it goes away."""
        del self.waiting[call]

    # -- turns -------------------------------------------------------------------------------

    def _queue(self, agent: Agent, text: str) -> Turn:
        self._turns_made += 1
        turn = Turn(self._turns_made, text)
        agent.turns.append(turn)
        self._touch(agent)
        if len(agent.turns) == 1:
            self._try(agent)
        return turn

    def _try(self, agent: Agent) -> None:
        """The first turn is sent, or waits until its key is free."""
        turn = agent.turns[0]
        may_wait = self.limits["max_quota_retries"] > 0
        if may_wait and self.now < self.deadline:
            turn.due = self.deadline + WAITER_S
            return
        turn.attempts += 1
        turn.hits_seen, turn.hit_counted, turn.failed_last = self.recorded, False, False
        turn.state, turn.said_now, turn.works = TurnState.RUNNING, "", True
        agent.count += 1
        agent.latest = None
        agent.messages += (("user", turn.text),)
        self._event(agent)

    def _event(self, agent: Agent) -> None:
        """Something is heard of the turn that runs: silence counts anew, and sleepers wake."""
        turn = agent.turns[0]
        if turn.asked is None:
            turn.due = self.now + self.limits["chat_timeout"]
        self._touch(agent)
        self._release(agent, c.WaitForWakeup)

    def _touch(self, agent: Agent) -> None:
        agent.views.append(agent.view())

    def running(self) -> Iterator[tuple[Agent, Turn]]:
        """The turns that a language model works on, and nobody else."""
        for agent in self.agents.values():
            if agent.turns and agent.turns[0].works and agent.turns[0].asked is None:
                yield agent, agent.turns[0]

    def say(self, agent: Agent, text: str) -> None:
        turn = agent.turns[0]
        turn.said += text
        turn.said_now += text
        turn.begun = True
        turn.hit_counted = turn.failed_last = False
        self._event(agent)

    def meter(self, agent: Agent) -> None:
        """A call was metered; the budget ends a turn that it exceeds."""
        agent.total = (agent.total or 0) + TOKENS
        agent.latest = (agent.latest or 0) + TOKENS
        self._event(agent)
        turn = agent.turns[0]
        turn.tokens += TOKENS
        if turn.tokens > self.limits["max_turn_tokens"]:
            self._end_turn(agent, TurnState.FAILED, agy.BudgetExceededError)

    def ask(self, agent: Agent, path: str) -> None:
        """The model wants a tool, and a person is asked."""
        turn = agent.turns[0]
        turn.asked, turn.due = path, self.now + self.limits["approval_timeout"]
        turn.state = TurnState.WAITING_FOR_USER
        self._event(agent)

    def decide(self, agent: Agent, *, allowed: bool) -> None:
        """The person has answered, or time has: only a yes runs the tool."""
        turn = agent.turns[0]
        if allowed:
            self.ran.append(turn.asked)
        turn.begun = True  # a denied call is an event, too
        turn.hit_counted = turn.failed_last = False
        turn.asked, turn.state = None, TurnState.RUNNING
        self._event(agent)

    def answer_ends(self, agent: Agent) -> None:
        """The model is done."""
        self._event(agent)
        if agent.turns[0].hits_seen == self.recorded:  # nobody was hit since the call began
            self.hits, self.deadline = 0, 0.0
        self._end_turn(agent, TurnState.DONE, None)

    def model_fails(self, agent: Agent) -> None:
        self._end_turn(agent, TurnState.FAILED, agy.BackendError)

    def quota_is_spent(self, agent: Agent, retry_after: float) -> None:
        """One more hit in a row: the turn is tried again if it may be."""
        turn = agent.turns[0]
        if not turn.hit_counted:
            self._hit(turn, retry_after)
        if turn.begun or turn.attempts > self.limits["max_quota_retries"]:
            self._end_turn(agent, TurnState.FAILED, agy.QuotaExceededError)
            return
        agent.messages += (("model", turn.said_now),)
        turn.works = False
        self._touch(agent)
        self._try(agent)

    def _hit(self, turn: Turn, retry_after: float) -> None:
        self.hits += 1
        self.recorded += 1
        wait = max(retry_after, min(2.0 ** min(self.hits, 7), 120.0))
        self.deadline = max(self.deadline, self.now + wait)
        turn.hits_seen, turn.hit_counted = self.recorded, True

    def quota_step(self, agent: Agent, retry_after: float) -> None:
        """The harness shows that it was hit, and goes on by itself."""
        self._hit(agent.turns[0], retry_after)
        agent.turns[0].failed_last = True
        self._event(agent)

    def cancel(self, agent: Agent, turn: Turn) -> None:
        """Any turn may be cancelled; one that waits stays in line until its turn comes."""
        if turn.error is not None:
            return
        if turn is agent.turns[0]:
            if turn.asked is not None:
                self._event(agent)  # the person's dialogue is taken away
            self._end_turn(agent, TurnState.CANCELLED, agy.TurnCancelledError)
        else:
            turn.state, turn.error = TurnState.CANCELLED, agy.TurnCancelledError

    def _end_turn(self, agent: Agent, state: TurnState, error: type | None) -> None:
        turn = agent.turns.pop(0)
        agent.path = agent.path + [turn] * (turn.attempts > 0)
        if turn.works:
            agent.messages += (("model", turn.said_now),)
        turn.state, turn.error, turn.works = state, error, False
        while agent.turns and agent.turns[0].error is not None:  # cancelled while it waited
            agent.turns.pop(0)
        self._touch(agent)
        if agent.turns:
            self._try(agent)
        else:
            self._release(agent, c.WaitForIdle)

    # -- ends --------------------------------------------------------------------------------

    def _end_agent(self, agent: Agent) -> None:
        del self.agents[agent.number]
        for turn in agent.turns:
            if turn.error is None:
                turn.state, turn.error = TurnState.CANCELLED, agy.ChannelClosedError
        self._release(agent, c.WaitForIdle)
        self._release(agent, c.WaitForWakeup)

    def close(self) -> None:
        """The runtime is over: whoever waits is told one thing or the other."""
        self.closed = True
        told = dict(self.waiting)
        for agent in tuple(self.agents.values()):
            self._end_agent(agent)
        for call in told:
            call.allowed = (*(call.allowed or ()), agy.ChannelClosedError)
        self.waiting.clear()

    # -- time --------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """Whatever falls due in that time, in order."""
        until = self.now + seconds
        while due := self._next_due(until):
            self.now, act = due
            act()
        self.now = until

    def _next_due(self, until: float):
        found = [
            (turn.due, lambda a=agent: self._falls_due(a))
            for agent in self.agents.values()
            for turn in agent.turns[:1]
            if turn.due is not None
        ]
        found += [(call.due, lambda k=call: self._is_late(k)) for call in self.waiting]
        return min((item for item in found if item[0] <= until), key=lambda i: i[0], default=None)

    def _falls_due(self, agent: Agent) -> None:
        turn = agent.turns[0]
        if turn.asked is not None:
            self.decide(agent, allowed=False)
        elif turn.works and turn.failed_last:  # silence after a hit is that hit
            self.quota_is_spent(agent, 0.0)
        elif turn.works:
            self._end_turn(agent, TurnState.FAILED, agy.AgyTimeoutError)
        else:
            self._try(agent)

    def _is_late(self, call: Call) -> None:
        late = isinstance(call.command, c.WaitForWakeup)
        call.allowed = (r.Woken(woken=False) if late else agy.AgyTimeoutError,)
        del self.waiting[call]
