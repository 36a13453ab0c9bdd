"""The real runtime against the model of the protocol, for random sequences of everything."""

import asyncio
import random
import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import agy_nb as agy
from agy_nb.protocol import commands as c, replies as r
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error
from agy_nb.protocol.values import TextPart
from tests.properties.conftest import PROFILE
from tests.properties.model import Model
from tests.properties.schedules import Replayed, ScheduledLoop, _put_out
from tests.support.memory import MemoryBackend

pytestmark = pytest.mark.slow

LIMITS = {
    # Odd fractions: no two limits fall due at the same moment.
    "chat_timeout": 30.25,
    "approval_timeout": 20.5,
    "operation_timeout": 100.125,
    "start_timeout": 25.75,
    "chat_pause": 0,
    "max_turn_tokens": 50,
}
WAKEUPS = st.sampled_from([3.0625, 50.03125])
NOBODY = 99
QUERIES = [
    c.GetHistory, c.GetTurnCount, c.GetTotalUsage, c.GetLastTurnUsage, c.GetCompactionIndices,
    c.GetLastResponse, c.IsIdle,
]  # fmt: skip
EXITS = [c.ShutdownAgent, c.Delete, c.Disconnect]


class LowDice(random.Random):
    def uniform(self, low, high):
        return low


class Openings(MemoryBackend):
    """Opens, fails or hangs as the configuration says."""

    async def open(self, spec, sink, gate):
        match (spec.config or {}).get("open"):
            case "fails":
                raise agy.HarnessError("no harness here")
            case "hangs":
                await asyncio.Event().wait()
        return await super().open(spec, sink, gate)


class Protocol(RuleBasedStateMachine):
    """Rules are what users, language models, people and clocks do."""

    def __init__(self):
        super().__init__()
        self.loop = ScheduledLoop(Replayed([]), 0, 0)
        self.threads = threading.active_count()
        self.steps = {}  # what the language model of each agent does next
        self.asked = {}  # the person's answer for each path
        self.ran = []
        self.texts = self.paths = 0
        self.calls = []  # (call of the model, task of the real thing)
        self.handles = {}
        self.turns = {}  # of the model, by number
        self.responses = {}

    # -- the real thing ----------------------------------------------------------------------

    @initialize(capacity=st.sampled_from([1, 2, 64]), retries=st.integers(0, 2))
    def start(self, capacity, retries):
        limits = {**LIMITS, "max_quota_retries": retries}
        self.model = Model(limits)
        self.backend = Openings(self.play)

        def begin():
            config = agy.RuntimeConfig(channel_capacity=capacity, **limits)
            self.runtime = agy.Runtime(config, backend=self.backend)
            self.runtime._quota._dice = LowDice()
            self.runtime._started()

        self.do(begin)
        self.create("well")
        self.create("well")

    async def play(self, turn):
        number = turn.session.spec.config["number"]
        while True:
            self.steps[number] = self.loop.create_future()
            act, argument = await self.steps[number]
            if act == "say":
                turn.say(argument)
            elif act == "meter":
                turn.meter()
            elif act == "emit":
                turn.emit(argument)
            elif act == "tool":
                await turn.call("tool", {"path": argument})
            elif act == "fail":
                raise argument
            else:
                return

    async def decide(self, request):
        future = self.asked[request.args["path"]] = self.loop.create_future()
        return await future

    def tool(self, path):
        self.ran.append(path)
        return path

    def do(self, action):
        """Do something within the loop, and let it run until nothing moves; no time passes."""

        async def acting():
            action()
            while True:
                await asyncio.sleep(0)
                if not self.loop._ready:
                    return

        before = self.loop.now
        self.loop.run_until_complete(acting())
        assert self.loop.now == before

    def send(self, *commands):
        calls = self.model.send(*commands)

        def submit():
            for call in calls:
                task = self.loop.create_task(self.reply_to(call.command))
                self.calls.append((call, task))

        for turn in (turn for agent in self.model.agents.values() for turn in agent.turns):
            self.turns[turn.number] = turn
        self.do(submit)

    async def reply_to(self, command):
        if isinstance(command, c.CreateAgent):
            agent = await self.runtime.create_agent(
                command.config, tools=[self.named_tool()], ask_user=self.decide
            )
            self.handles[agent.id] = agent
            return r.AgentCreated(agent_id=agent.id)
        reply = await self.runtime.submit(command)
        if isinstance(command, c.Fork):
            self.handles[reply.agent_id] = self.runtime.handle_of(reply.agent_id, self.decide)
        if isinstance(reply, r.ChatStarted):
            self.responses[reply.turn_id] = reply.response
        return plain(reply)

    def named_tool(self):
        def tool(path: str) -> str:
            return self.tool(path)

        return tool

    def prompt(self):
        self.texts += 1
        return (TextPart(text=f"prompt-{self.texts}"),)

    def agent_ids(self):
        return st.sampled_from([*self.model.agents] * 3 + [NOBODY])

    def command(self, data, agent_id):
        """Any command to one agent."""
        kind = data.draw(
            st.sampled_from(
                [c.Chat, c.Send, c.Cancel, c.WaitForIdle, c.SignalIdle, c.WaitForWakeup,
                 c.ClearHistory, c.Chat, c.Chat, *QUERIES]
            )
        )  # fmt: skip
        return self.make(kind, agent_id, data)

    def make(self, kind, agent_id, data):
        if kind in (c.Chat, c.Send):
            return kind(agent_id=agent_id, prompt=self.prompt())
        if kind is c.WaitForWakeup:
            return kind(agent_id=agent_id, timeout=data.draw(WAKEUPS))
        return kind(agent_id=agent_id)

    # -- rules: commands ---------------------------------------------------------------------

    @precondition(lambda self: len(self.model.agents) < 3)
    @rule(how=st.sampled_from(["well", "well", "well", "fails", "hangs"]))
    def create(self, how):
        number = self.model._agents_made + 1
        self.send(c.CreateAgent(config={"open": how, "number": number}))

    @precondition(lambda self: self.model.agents)
    @rule(data=st.data())
    def chat(self, data):
        kind = data.draw(st.sampled_from([c.Chat, c.Chat, c.Chat, c.Send]))
        self.send(self.make(kind, data.draw(st.sampled_from(list(self.model.agents))), data))

    @precondition(lambda self: self.texts and len(self.model.agents) < 4)
    @rule(data=st.data())
    def fork(self, data):
        agent_id = data.draw(self.agent_ids())
        turn = data.draw(st.integers(-3, 4))
        agent = self.model.agents.get(agent_id)
        if agent is None or not agent.turns:  # otherwise "now" waits for the turns
            turn = data.draw(st.sampled_from([turn, None]))
        changes = {"number": self.model._agents_made + 1}
        self.send(c.Fork(agent_id=agent_id, turn=turn, config=changes))

    @precondition(lambda self: any(not agent.turns for agent in self.model.agents.values()))
    @rule(data=st.data(), turn=st.integers(-3, 4), branch=st.sampled_from([None, None, 1, 2, 3]))
    def rewind(self, data, turn, branch):
        idle = [number for number, agent in self.model.agents.items() if not agent.turns]
        agent_id = data.draw(st.sampled_from([*idle, NOBODY]))
        self.send(c.Rewind(agent_id=agent_id, turn=turn, branch=branch))

    @rule(data=st.data())
    def one_command(self, data):
        self.send(self.command(data, data.draw(self.agent_ids())))

    @rule(data=st.data())
    def every_query(self, data):
        agent_id = data.draw(self.agent_ids())
        self.send(*(kind(agent_id=agent_id) for kind in QUERIES))

    @rule(data=st.data())
    def many_at_once(self, data):
        """One operation for each agent, or many chats, and queries in between."""
        commands = []
        for agent_id in data.draw(st.lists(self.agent_ids(), min_size=1, max_size=4, unique=True)):
            commands.append(self.command(data, agent_id))
            if isinstance(commands[-1], c.Chat | c.Send):
                kinds = data.draw(st.lists(st.sampled_from([c.Chat, c.Send]), max_size=3))
                commands += [self.make(kind, agent_id, data) for kind in kinds]
            kinds = data.draw(st.lists(st.sampled_from(QUERIES), max_size=3))
            commands += [kind(agent_id=agent_id) for kind in kinds]
        self.send(*commands)

    @precondition(lambda self: self.texts > 4)
    @rule(data=st.data(), kind=st.sampled_from(EXITS))
    def end_an_agent(self, data, kind):
        self.send(kind(agent_id=data.draw(self.agent_ids())))

    @precondition(lambda self: self.texts > 12 and not self.model.closed)
    @rule(data=st.data())
    def shut_down_in_the_middle(self, data):
        kinds = [c.Chat, c.Send, c.WaitForIdle, c.WaitForWakeup, c.GetTurnCount]
        commands = [
            self.make(data.draw(st.sampled_from(kinds)), data.draw(self.agent_ids()), data)
            for _ in range(2)
        ]
        self.send(*commands, c.Shutdown(), c.IsIdle(agent_id=NOBODY))

    @precondition(lambda self: self.texts > 8 and self.handles and not self.model.closed)
    @rule(data=st.data())
    def drop_a_handle(self, data):
        number = data.draw(st.sampled_from(sorted(self.handles)))
        agent = self.model.agents.get(number)
        if agent is not None:
            self.model._end_agent(agent)
        self.do(lambda: self.handles.pop(number) and None)

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def a_sender_goes_away(self, data):
        call = data.draw(st.sampled_from(list(self.model.waiting)))
        self.model.abandon(call)
        ((pair, task),) = [(pair, pair[1]) for pair in self.calls if pair[0] is call]
        self.calls.remove(pair)
        self.do(task.cancel)
        assert task.cancelled()

    # -- rules: language models, people, time ------------------------------------------------

    def step(self, agent, act, argument=None):
        self.do(lambda: self.steps[agent.number].set_result((act, argument)))

    def working(self, data):
        return data.draw(st.sampled_from(list(self.model.running())))

    @precondition(lambda self: any(self.model.running()))
    @rule(data=st.data())
    def the_model_says_something(self, data):
        agent, turn = self.working(data)
        text = f"<{agent.number}.{turn.number}>"
        self.model.say(agent, text)
        self.step(agent, "say", text)

    @precondition(lambda self: any(self.model.running()))
    @rule(data=st.data())
    def the_model_is_metered(self, data):
        agent, _ = self.working(data)
        self.model.meter(agent)
        self.step(agent, "meter")

    @precondition(lambda self: any(self.model.running()))
    @rule(data=st.data())
    def the_model_wants_a_tool(self, data):
        agent, _ = self.working(data)
        self.paths += 1
        self.model.ask(agent, str(self.paths))
        self.step(agent, "tool", str(self.paths))

    @precondition(lambda self: any(self.model.running()))
    @rule(data=st.data())
    def the_model_is_done(self, data):
        agent, _ = self.working(data)
        self.model.answer_ends(agent)
        self.step(agent, "end")

    @precondition(lambda self: any(self.model.running()))
    @rule(data=st.data(), how=st.sampled_from(["fails", "breaks", "quota"]))
    def the_model_fails(self, data, how):
        agent, _ = self.working(data)
        if how == "quota":
            seconds = data.draw(st.sampled_from([1.0, 10.0]))
            self.model.quota_is_spent(agent, seconds)
            self.step(agent, "fail", agy.QuotaExceededError(seconds))
            return
        self.model.model_fails(agent)
        error = agy.HarnessError("cut") if how == "fails" else RuntimeError("a bug below us")
        self.step(agent, "fail", error)

    @precondition(lambda self: any(self.model.running()))
    @rule(data=st.data(), seconds=st.sampled_from([1.0, 10.0]))
    def the_quota_is_hit_and_the_harness_goes_on(self, data, seconds):
        agent, _ = self.working(data)
        self.model.quota_step(agent, seconds)
        error = to_info(agy.QuotaExceededError(seconds))
        self.step(agent, "emit", Error(error=error, fatal=False))

    def asking(self):
        return [
            agent
            for agent in self.model.agents.values()
            if agent.turns and agent.turns[0].asked is not None
        ]

    @precondition(lambda self: self.asking())
    @rule(data=st.data(), answer=st.sampled_from([True, False, "nonsense", ValueError("a bug")]))
    def a_person_decides(self, data, answer):
        agent = data.draw(st.sampled_from(self.asking()))
        future = self.asked[agent.turns[0].asked]
        self.model.decide(agent, allowed=answer is True)
        if isinstance(answer, Exception):
            self.do(lambda: future.set_exception(answer))
        else:
            self.do(lambda: future.set_result(answer))

    @precondition(lambda self: any(agent.turns for agent in self.model.agents.values()))
    @rule(data=st.data())
    def a_turn_is_cancelled(self, data):
        pairs = [
            (agent, turn)
            for agent in self.model.agents.values()
            for turn in agent.turns
            if turn.number in self.responses
        ]
        if pairs:
            agent, turn = data.draw(st.sampled_from(pairs))
            self.model.cancel(agent, turn)
            response = self.responses[turn.number]
            self.do(lambda: self.loop.create_task(response.cancel()) and None)

    @rule(seconds=st.sampled_from([0.5, 7, 12, 31, 45, 101]))
    def time_passes(self, seconds):
        self.model.pass_time(seconds)
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.do(lambda: None)

    # -- what always holds -------------------------------------------------------------------

    @invariant()
    def every_command_got_the_reply_that_it_may_get(self):
        for call, task in tuple(self.calls):
            if call in self.model.waiting:
                assert not task.done(), (call, task)
                continue
            assert task.done(), f"no reply to {call}"
            reply = task.exception() or task.result()
            assert any(fits(reply, allowed) for allowed in call.allowed), (call, reply)
            self.calls.remove((call, task))

    @invariant()
    def turns_stand_as_they_should(self):
        for number, response in self.responses.items():
            turn = self.turns.get(number)
            if turn is None:  # sent in the same moment as the runtime's end
                assert response.done
                continue
            assert response.state == turn.state, (turn, response.error)
            assert response.partial_text == turn.said
            assert (response.error is None) is (turn.error is None)
            assert turn.error is None or isinstance(response.error, turn.error), response.error

    @invariant()
    def only_a_yes_runs_a_tool(self):
        if hasattr(self, "model"):
            assert self.ran == self.model.ran

    @invariant()
    def the_agents_that_run_are_those(self):
        if hasattr(self, "model"):
            assert self.runtime.agent_ids == tuple(self.model.agents)
            assert self.loop.errors == []

    def teardown(self):
        try:
            if hasattr(self, "model"):
                self.nothing_is_left()
        finally:
            _put_out(self.loop)
            self.loop.close()

    def nothing_is_left(self):
        self.model.close()
        self.loop.run_until_complete(self.runtime.close())
        self.do(lambda: None)
        self.every_command_got_the_reply_that_it_may_get()
        self.turns_stand_as_they_should()
        self.the_agents_that_run_are_those()
        assert all(response.done for response in self.responses.values())
        assert all(session.closed for session in self.backend.sessions)
        assert asyncio.all_tasks(self.loop) == set()
        assert threading.active_count() == self.threads
        left = self.runtime.statistics()
        assert (left.queued, left.tasks, left.agents) == (0, 0, 0)


def plain(reply):
    """A reply as the model tells it."""
    match reply:
        case r.History():
            return tuple((message.role, message.content) for message in reply.messages)
        case r.TurnCount():
            return reply.turns
        case r.UsageReport():
            return reply.usage.total_tokens if reply.usage else None
        case r.CompactionIndices():
            return reply.indices
        case r.LastResponse():
            return reply.text
        case r.Idle():
            return reply.idle
    return reply


def fits(reply, allowed):
    if isinstance(allowed, type):
        return isinstance(reply, allowed)
    return type(reply) is type(allowed) and reply == allowed


def test_the_runtime_does_what_the_model_says():
    run_state_machine_as_test(Protocol, settings=PROFILE)
