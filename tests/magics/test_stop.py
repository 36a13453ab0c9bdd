"""`%agy_stop` with agents that take their time, or that end at this moment."""

import asyncio

import pytest

from agy_nb.errors import BackendError
from agy_nb.magics import agent_magics


class Agents:
    """A runtime whose agents end in different ways when they are stopped."""

    def __init__(self):
        self.agent_ids = (1, 2, 3)
        self.stopped = []
        self.all_asked = asyncio.Event()
        self.fails = ()

    async def submit(self, command):
        self.stopped.append(command.agent_id)
        if len(self.stopped) == len(self.agent_ids):
            self.all_asked.set()
        await self.all_asked.wait()  # a turn takes its time to end
        if command.agent_id == 2:
            if 2 not in self.fails:
                self.agent_ids = (1, 3)
            raise BackendError("agent 2 cannot be stopped")


@pytest.fixture
def stop(monkeypatch):
    agents = Agents()
    monkeypatch.setattr(agent_magics, "runtime", lambda: agents)
    return agents, lambda: agent_magics.AgentMagics(shell=None).agy_stop("")


def test_all_agents_are_stopped_at_once_also_if_one_ends_meanwhile(stop):
    agents, run = stop
    run()
    assert agents.stopped == [1, 2, 3]


def test_agent_that_cannot_be_stopped_is_an_error_after_all_were_asked(stop):
    agents, run = stop
    agents.fails = (2,)
    with pytest.raises(BackendError, match="agent 2 cannot be stopped"):
        run()
    assert agents.stopped == [1, 2, 3]
