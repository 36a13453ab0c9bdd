"""A scenario too large to explore: several agents, and users who do anything at any moment."""

import asyncio
from collections import Counter

from hypothesis import strategies as st

import agy_nb as agy
from tests.properties.stage import Tool, approvals_held, ended_once, outcome, runtime_in

AGENT = st.integers(0, 1)
KINDS = st.sampled_from(["say", "fail", "hang", "spent", "tool", "deaf"])


class BusyRuntime:
    """What users, model and tools do; hypothesis draws it, and the loop draws when."""

    def __init__(self, world, *, allowed):
        self.world = world
        self.runtime = None
        self.allowed = allowed
        self.tool = Tool()
        self.tries = Counter()
        self.agents = []
        self.responses = []

    # -- the model and the person ------------------------------------------------------------

    async def play(self, turn):
        kind, _, text = turn.prompt.partition(" ")
        self.tries[text] += 1
        await self.think(kind, text)
        if kind == "fail":
            raise agy.BackendError("the model failed")
        if kind == "spent" and self.tries[text] == 1:
            raise agy.QuotaExceededError(7.0)
        turn.say(text[:3])
        if kind == "hang":
            await asyncio.Event().wait()
        if kind == "tool":
            await turn.call("tool", {"path": text})
        turn.say(text[3:])
        turn.meter()

    async def think(self, kind, text):
        try:
            await self.world.at(f"the model goes on with {text!r}")
        except asyncio.CancelledError:
            if kind == "deaf":
                await self.world.at(f"the deaf model ends {text!r}")
            raise

    async def ask(self, request):
        await self.world.at(f"the user decides on {request.args['path']!r}")
        return self.allowed

    # -- the users ---------------------------------------------------------------------------

    async def start(self):
        for _ in range(2):
            self.agents.append(
                await self.runtime.create_agent(
                    {"api_key": "k"}, tools=[self.tool], ask_user=self.ask
                )
            )

    async def chat(self, index, kind="say"):
        text = f"{kind}-{len(self.responses)}-for-{index}"
        response = await self.agents[index].chat(f"{kind} {text}")
        self.responses.append((index, text, response))
        await response.wait()

    async def cancel(self, index):
        for other, _, response in tuple(self.responses):
            if other == index:
                await response.cancel()
                assert response.done

    async def leave(self, index):
        self.world.tasks[index % len(self.world.tasks)].cancel()

    def acts(self):
        """What users do, beside chatting."""
        agents = self.agents
        return {
            "cancel the turns": self.cancel,
            "cancel the agent": lambda n: agents[n].cancel(),
            "shut the agent down": lambda n: agents[n].shutdown(),
            "delete the agent": lambda n: agents[n].delete(),
            "disconnect": lambda n: agents[n].disconnect(),
            "close the runtime": lambda n: self.runtime.close(),
            "go away": self.leave,
            "clear the history": lambda n: agents[n].clear_history(),
            "wait for idle": lambda n: agents[n].wait_for_idle(),
            "signal idle": lambda n: agents[n].signal_idle(),
            "wait for a wake-up": lambda n: agents[n].wait_for_wakeup(9),
            "one more chat": self.chat,
            "ask for the count": lambda n: agents[n].turn_count(),
            "start one more": lambda n: self.runtime.create_agent({}),
        }

    # -- what holds --------------------------------------------------------------------------

    def check(self):
        for index, text, response in self.responses:
            ended_once(response)
            assert response.agent_id == index + 1
            assert text.startswith(response.partial_text), "no text of another turn"
            if response.error is None:
                assert response.partial_text == text, "the whole text, and once"
        approvals_held(self.tool, *(response for _, _, response in self.responses))
        if not self.allowed:
            assert self.tool.ran == []


ACTS = st.sampled_from(sorted(BusyRuntime(None, allowed=False).acts()))


def a_busy_runtime(data):
    """A scenario whose chats and acts hypothesis draws."""
    limits = data.draw(
        st.fixed_dictionaries(
            {
                "channel_capacity": st.sampled_from([1, 2, 64]),
                "max_quota_retries": st.integers(0, 1),
                "approval_timeout": st.just(20),
                "chat_timeout": st.just(30),
            }
        ),
        label="limits",
    )
    chats = data.draw(st.lists(st.tuples(AGENT, KINDS), min_size=1, max_size=4), label="chats")
    acts = data.draw(st.lists(st.tuples(AGENT, ACTS), max_size=4), label="acts")
    allowed = data.draw(st.booleans(), label="the user says yes")
    seconds = data.draw(st.sampled_from([0, 25, 100]), label="seconds that race")

    async def scenario(world):
        busy = BusyRuntime(world, allowed=allowed)
        async with runtime_in(world, busy.play, **limits) as busy.runtime:
            await busy.start()
            world.begin(seconds=seconds)
            for index, kind in chats:
                world.does(
                    f"chat with agent {index} ({kind})",
                    lambda i=index, k=kind: outcome(busy.chat(i, k)),
                )
            for index, what in acts:
                act = busy.acts()[what]
                world.does(f"agent {index}: {what}", lambda i=index, a=act: outcome(a(i)))
            for reply in await world.all_done():
                expected = agy.AgyError | asyncio.CancelledError
                assert not isinstance(reply, BaseException) or isinstance(reply, expected), reply
            world.settle()
            await busy.runtime.close()
            busy.check()

    scenario.__name__ = "a_busy_runtime"
    return scenario
