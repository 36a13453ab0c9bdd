"""What is always allowed is allowed to one agent, as long as it lives, and can be revoked."""

import pytest

import agy_nb as agy
from agy_nb.protocol.events import Approval
from agy_nb.runtime.approvals.grants import Grant
from tests.runtime.conftest import agent_with, runtime_with


def tool(path: str) -> str:
    return path


class Person:
    """Allows with these words to remember, and keeps what it was asked."""

    def __init__(self, *remember):
        self.asked = []
        self.remember = list(remember)

    async def __call__(self, request):
        self.asked.append(request.args["path"])
        remember = self.remember.pop(0) if self.remember else ""
        return agy.ApprovalDecision(allowed=True, remember=remember)


async def calls(turn):
    """Call the tool with each word of the prompt."""
    for path in turn.prompt.split():
        await turn.call("tool", {"path": path})


async def test_tool_that_is_always_allowed_runs_with_any_arguments():
    person = Person("tool")
    async with agent_with(calls, tools=[tool], ask_user=person) as agent:
        response = await (await agent.chat("a b c"))
        assert list(agent.grants) == [Grant(tool="tool")]
        assert agent.approvals.decided_by.tolist()[1:] == ["a grant: this tool"] * 2
    assert person.asked == ["a"]
    events = [event for event in response.event_log if isinstance(event, Approval)]
    assert [event.state for event in events] == ["pending", "allowed"] * 3


async def test_exact_call_that_is_always_allowed_is_this_call_only():
    person = Person("call")
    async with agent_with(calls, tools=[tool], ask_user=person) as agent:
        await (await agent.chat("a b a b"))
        assert agent.grants[0] == Grant(tool="tool", args={"path": "a"})
        assert len(agent.grants) == 1
    assert person.asked == ["a", "b", "b"]


@pytest.mark.parametrize("remember", ["tool", "call"])
async def test_grant_holds_for_no_other_runtimes_agent_of_the_same_number(remember):
    """One handler for two agents number 1, as `agy.widgets.approve()` may be."""
    person = Person(remember)
    async with runtime_with(calls) as one, runtime_with(calls) as other:
        first = await one.create_agent({}, tools=[tool], ask_user=person)
        second = await other.create_agent({}, tools=[tool], ask_user=person)
        assert first.id == second.id
        await (await first.chat("a"))
        await (await second.chat("a"))
        assert (len(first.grants), len(second.grants)) == (1, 0)
    assert person.asked == ["a", "a"]


async def test_grant_holds_for_no_agent_that_was_spawned():
    person = Person("tool")
    async with agent_with(calls, tools=[tool], ask_user=person) as agent:
        await (await agent.chat("a"))
        child = await agent.spawn_subagent(tools=[tool])
        await (await child.chat("a"))
    assert person.asked == ["a", "a"]


async def test_grant_that_is_revoked_is_asked_about_again():
    person = Person("call", "call", "")
    async with agent_with(calls, tools=[tool], ask_user=person) as agent:
        await (await agent.chat("a b"))
        seen = []
        stop = agent.grants.watch(lambda: seen.append(len(agent.grants)))
        agent.grants.revoke(agent.grants[0])
        await (await agent.chat("a b"))
        agent.grants.revoke()
        stop()
        assert seen == [1, 0]
        assert repr(agent.grants) == "<Grants: none>"
    assert person.asked == ["a", "b", "a"]


async def test_grant_of_another_agent_cannot_be_revoked_here():
    async with agent_with(calls) as agent:
        with pytest.raises(agy.InvalidInputError, match="has no grant"):
            agent.grants.revoke(Grant(tool="tool"))


async def test_grants_end_with_their_agent():
    async with agent_with(calls, tools=[tool], ask_user=Person("tool")) as agent:
        await (await agent.chat("a"))
        await agent.shutdown()
        assert list(agent.grants) == []


@pytest.mark.parametrize("remember", ["everything", True, None, 1])
async def test_words_that_mean_nothing_grant_nothing(remember):
    async with agent_with(calls, tools=[tool], ask_user=Person(remember)) as agent:
        await (await agent.chat("a"))
        assert list(agent.grants) == []


async def test_denial_and_edit_grant_nothing():
    async def no(_request):
        return agy.ApprovalDecision(allowed=False, remember="tool")

    async with agent_with(calls, tools=[tool], ask_user=no) as agent:
        await (await agent.chat("a"))
        assert list(agent.grants) == []


def test_grant_knows_its_requests():
    grant = Grant(tool="tool", server="files", args={"a": 1, "b": [2]})
    request = agy.ApprovalRequest
    assert grant.covers(request(tool="tool", server="files", args={"b": [2], "a": 1}))
    assert not grant.covers(request(tool="tool", server="files", args={"b": [3], "a": 1}))
    assert not grant.covers(request(tool="tool", args={"b": [2], "a": 1}))
    assert not grant.covers(request(tool="other", server="files", args={"b": [2], "a": 1}))
