"""A command line that reads prompts and approvals from stdin, replayed by `agy-nb harness`."""

import asyncio
import subprocess
import sys

import pytest

from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL
from tests.cassette.shim.test_shim import launcher, own_temporary_folder
from tests.processes import output_of

__all__ = ["launcher", "own_temporary_folder"]
pytestmark = [
    pytest.mark.real, pytest.mark.blocking_allowed, pytest.mark.slow, pytest.mark.timeout(120),
]  # fmt: skip

PROGRAM = """
import asyncio, sys
from google.antigravity import Agent, LocalAgentConfig, types
from google.antigravity.hooks import policy

endpoint = types.GeminiAPIEndpoint(base_url=sys.argv[1], api_key="scripted-key-0")
kinds = [types.ModelType.TEXT, types.ModelType.IMAGE]
models = [types.ModelTarget(name="m", types=[kind], endpoint=endpoint) for kind in kinds]

def get_number() -> int:
    "Give a number."
    return 7

async def ask(_) -> bool:
    return input("Allow? ") == "y"

async def main():
    rules = [policy.ask_user("*", handler=ask)]
    config = LocalAgentConfig(models=models, tools=[get_number], policies=rules)
    async with Agent(config) as agent:
        for line in sys.argv[2:] or iter(lambda: sys.stdin.readline().strip(), ""):
            print(await (await agent.chat(line)).text())

asyncio.run(main())
"""
TYPED = "Which number?\ny\nAnd now?\n"


async def run(harness, base_url, monkeypatch, *prompts, typed=TYPED):
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(harness))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, base_url, *prompts,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(typed.encode())
    process.stdin.close()
    out, err = await output_of(process)
    return out.decode(), err.decode()


async def test_mismatch_names_the_option_that_lets_the_program_ask(launcher, tmp_path, monkeypatch):
    script = [call("get_number"), say("Seven."), say("Eight.")]
    async with ScriptedModel(script) as model:
        record = launcher("--record", tmp_path / "c")
        live, _ = await run(record, model.base_url, monkeypatch)
    assert live == "Allow? Seven.\nEight.\n"
    _, err = await run(launcher("--replay", tmp_path / "c"), NO_MODEL, monkeypatch)
    assert "--approvals ask" in err
    asks = launcher("--replay", tmp_path / "c", "--approvals", "ask")
    assert (await run(asks, NO_MODEL, monkeypatch))[0] == live


async def test_replay_answers_for_a_program_whose_stdin_is_closed(launcher, tmp_path, monkeypatch):
    prompts = "Which number?", "And now?"
    async with ScriptedModel([call("get_number"), say("Seven."), say("Eight.")]) as model:
        record = launcher("--record", tmp_path / "c")
        live, _ = await run(record, model.base_url, monkeypatch, *prompts, typed="y\n")
    assert live == "Allow? Seven.\nEight.\n"
    replay = launcher("--replay", tmp_path / "c")
    out, err = await run(replay, NO_MODEL, monkeypatch, *prompts, typed="")
    assert out == "Seven.\nEight.\n", err
