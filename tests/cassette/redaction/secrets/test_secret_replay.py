"""On replay a mark of redaction stays a mark, and a mismatch names redaction as its cause."""

import pytest

import agy_nb as agy
from agy_nb.cassette import CassetteMismatchError, use_cassette
from agy_nb.cassette.redaction import SECRET
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]

WORD = "hunter2-hunter2"
SCRIPT = [call("log_in", user="ada", password=WORD), say("In.")]


@pytest.fixture
def given():
    return []


@pytest.fixture
def log_in(given):
    def log_in(user: str, password: str) -> str:
        """Log in."""
        given.append(password)
        return f"{user} is in"

    return log_in


async def chat_in_runtime(config):
    async with agy.Runtime() as runtime:
        agent = await runtime.create_agent(config)
        return await agent.chat_text("Do it")


async def record(tmp_path, tool, **options):
    async with (
        ScriptedModel(SCRIPT) as model,
        use_cassette(tmp_path / "c", **options),
    ):
        await chat_in_runtime(Setting(model.base_url, tmp_path / "then").config(tools=[tool]))


async def replay(tmp_path, tool, **options):
    async with use_cassette(tmp_path / "c", "none", **options):
        await chat_in_runtime(Setting(NO_MODEL, tmp_path / "now").config(tools=[tool]))


def wire(tmp_path):
    return (tmp_path / "c" / "wire.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["PWD", "WORKSPACE_PASSWORD"])
async def test_mark_is_never_replaced_by_the_workspace(name, tmp_path, log_in, given, monkeypatch):
    workspace = Setting(NO_MODEL, tmp_path / "then").config().workspaces[0]
    monkeypatch.setenv(name, str(workspace))
    await record(tmp_path, log_in)
    assert WORD not in wire(tmp_path)
    # The folder itself stands in the recording, but where it is the value of a password.
    assert ("then/work" in wire(tmp_path)) is (name == "PWD")
    monkeypatch.delenv(name)
    await replay(tmp_path, log_in)
    assert given == [WORD, SECRET]


async def test_mismatch_says_that_redaction_is_the_cause_and_what_to_do(tmp_path):
    def log_in(user: str, password: str) -> str:
        """Log in."""
        return "welcome" if password == WORD else "wrong password"

    await record(tmp_path, log_in)
    with pytest.raises(CassetteMismatchError, match="Redaction is the likely cause") as caught:
        await replay(tmp_path, log_in)
    assert "allow_values=" in str(caught.value)
    assert 'tools="replay"' in str(caught.value)
    await replay(tmp_path, log_in, tools="replay")


async def test_allowed_value_reaches_the_tool_on_replay(tmp_path, log_in, given):
    await record(tmp_path, log_in, allow_values=[WORD])
    await replay(tmp_path, log_in, allow_values=[WORD])
    assert given == [WORD, WORD]


async def test_program_in_an_argument_is_as_it_was(tmp_path):
    program = "token = tokenizer.next_token()\npassword = ask('Password: ')\n# the basic concepts\n"
    ran = []

    def run_code(code: str) -> str:
        """Run it."""
        ran.append(code)
        return code

    script = [call("run_code", code=program), say("Ran.")]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        await chat_in_runtime(Setting(model.base_url, tmp_path / "then").config(tools=[run_code]))
    await replay(tmp_path, run_code)
    assert ran == [program, program]
