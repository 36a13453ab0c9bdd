"""Prompts to which the echo model reacts, with the real SDK and harness."""

from __future__ import annotations

import pytest

import agy_nb as agy
from agy_nb.protocol.values import Answer
from agy_nb.testing import EchoModel

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]

ASKING = {"agent_behavior": "interactive", "enabled_tools": ["ask_question"]}


class Person:
    """Allows or denies each call, notes it, and likes blue."""

    def __init__(self, *, allows=True):
        self.requests = []
        self._allows = allows

    async def __call__(self, request):
        self.requests.append(request)
        return self._allows

    async def answer(self, question_id, questions):
        return (Answer(selected=("3",)),) * len(questions)


@pytest.fixture
async def create(tmp_path):
    """Create an agent on the echo model, whose workspace holds one file."""
    workspace = tmp_path / "work"
    workspace.mkdir()
    (workspace / "notes.txt").write_text("Buy milk.")
    async with EchoModel(word_delay_s=0) as model, agy.Runtime() as runtime:

        async def create(**options):
            config = model.config(workspaces=[str(workspace)])
            return await runtime.create_agent(config, **options)

        yield create


@pytest.mark.parametrize("prompt", ["run ls", "Run `ls`.", "Run `cat notes.txt`"])
async def test_command_runs_in_the_workspace_after_an_approval(create, prompt):
    person = Person()
    agent = await create(ask_user=person)
    said = await agent.chat_text(prompt)
    (request,) = person.requests
    command = "cat notes.txt" if "cat" in prompt else "ls"
    assert (request.tool, request.args["CommandLine"]) == ("run_command", command)
    assert ("Buy milk." if "cat" in prompt else "notes.txt") in said
    assert "Created At" not in said


async def test_command_that_the_user_denies_does_not_run(create, tmp_path):
    agent = await create(ask_user=Person(allows=False))
    said = await agent.chat_text("Run `touch made.txt`")
    assert said.startswith("run_command did not run: ")
    assert not (tmp_path / "work" / "made.txt").exists()


async def test_command_is_denied_without_an_approver_and_the_answer_says_how_to_be_asked(
    create, tmp_path
):
    agent = await create()
    said = await agent.chat_text("Run `touch made.txt`")
    assert said.startswith("run_command did not run: ")
    assert "ask_user=" in said
    assert not (tmp_path / "work" / "made.txt").exists()


async def test_question_is_asked_and_the_answer_repeated(create):
    agent = await create(capabilities=ASKING, ask_user=Person())
    assert await agent.chat_text("Ask me!") == "Your answer: Blue"


async def test_question_that_the_user_skips(create):
    agent = await create(capabilities=ASKING)
    assert await agent.chat_text("ask me") == "You skipped the question."


async def test_agent_that_cannot_ask_says_how_to_allow_questions(create):
    agent = await create()
    said = await agent.chat_text("Ask me")
    assert 'agent_behavior="interactive"' in said


async def test_thought_streams_before_the_answer(create):
    agent = await create()
    response = await agent.chat("Think.")
    assert await response.text() == "I have thought about it."
    kinds = [event.type for event in response.event_log if event.type in ("thought", "text")]
    assert kinds == sorted(kinds, reverse=True)
    assert "thought streams before the answer" in "".join(response.thoughts)


async def test_subagent_starts_after_an_approval_and_answers(create):
    person = Person()
    agent = await create(ask_user=person)
    response = await agent.chat("Use a subagent")
    assert (await response.text()).endswith("The subagent answered: Hello from the subagent.")
    assert [request.tool for request in person.requests] == ["invoke_subagent"]
    child = response.trajectories[1]
    assert "".join(response.text_stream(child.id)) == "Hello from the subagent."


async def test_subagent_of_the_configuration_is_preferred(create):
    researcher = {"name": "poet", "description": "Writes.", "system_instructions": "Rhyme."}
    person = Person()
    agent = await create(subagents=[researcher], ask_user=person)
    assert "Hello from the subagent." in await agent.chat_text("use a subagent")
    assert person.requests[0].args["Subagents"][0]["TypeName"] == "poet"


async def test_agent_without_the_tool_says_how_to_allow_it(create):
    capabilities = {"enabled_tools": ["view_file"], "enable_subagents": False}
    agent = await create(capabilities=capabilities)
    assert "enable_subagents=True" in await agent.chat_text("use a subagent")
    assert "enable the tool `run_command`" in await agent.chat_text("run ls")


async def test_prompt_that_fails_raises_and_the_next_turn_works(create):
    agent = await create()
    with pytest.raises(agy.errors.BackendError, match=r"HTTP 400.*asked the echo model to fail"):
        await agent.chat_text("Fail")
    assert await agent.chat_text("Hello") == "You said: Hello"


async def test_agent_with_the_openai_api_reacts_as_well(tmp_path):
    async with EchoModel(word_delay_s=0) as model, agy.Runtime() as runtime:
        config = model.openai_config(workspaces=[str(tmp_path)])
        agent = await runtime.create_agent(config, ask_user=Person())
        (tmp_path / "notes.txt").touch()
        assert "notes.txt" in await agent.chat_text("run ls")
