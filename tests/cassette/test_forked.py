"""Agents of a process that was forked while a cassette is in use."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.real

PROGRAM = """
import asyncio, os, sys
import agy_nb as agy
from agy_nb.testing import EchoModel

async def talk():
    async with EchoModel() as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config())
        return await agent.chat_text("Hello")

with agy.use_cassette(sys.argv[1], sys.argv[2]):
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(talk())
        except agy.errors.CassetteActiveError as error:
            print("child:", error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("parent:", asyncio.run(talk()))
"""


def test_agent_of_a_forked_process_is_never_a_live_one(tmp_path):
    def run(mode):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "c"), mode],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    for mode in ("once", "none"):
        shown = run(mode)
        assert "child: this process was forked while the cassette" in shown
        assert "parent: Hello" in shown or "parent: You said" in shown
