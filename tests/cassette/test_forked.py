"""Agents of a process that was forked or spawned while a cassette is in use."""

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


SPAWNS = """
import asyncio, multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
import agy_nb as agy
from agy_nb.testing import EchoModel
from google.antigravity import Agent

async def talk(way):
    async with EchoModel() as model:
        if way == "sdk":
            async with Agent(model.config()) as agent:
                return await (await agent.chat("Hello")).text()
        async with agy.Runtime() as runtime:
            agent = await runtime.create_agent(model.config() if way == "agy_nb" else None)
            return await agent.chat_text("Hello")

def child(way, cassette=None):
    try:
        if cassette:
            with agy.use_cassette(cassette, "all"):
                return asyncio.run(talk(way))
        return asyncio.run(talk(way))
    except agy.errors.CassetteActiveError as error:
        return f"refused: {error}"

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with agy.use_cassette(sys.argv[1], sys.argv[2]), ProcessPoolExecutor(1, spawn) as pool:
        for way in ("agy_nb", "echo", "sdk"):
            print(way, pool.submit(child, way).result(), flush=True)
        print("own", pool.submit(child, "sdk", sys.argv[1] + "-own").result(), flush=True)
        print("parent:", asyncio.run(talk("sdk")))
    with ProcessPoolExecutor(1, spawn) as pool:
        print("after", pool.submit(child, "sdk").result())
"""


@pytest.mark.slow
def test_agent_of_a_spawned_process_is_never_a_live_one(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SPAWNS)
    for mode in ("once", "none"):
        done = subprocess.run(
            [sys.executable, str(program), str(tmp_path / "c"), mode],
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        shown = done.stdout.splitlines()
        for way, line in zip(("agy_nb", "echo", "sdk"), shown, strict=False):
            assert line.startswith(f"{way} refused: this process was started while the cassette")
        assert [line.partition(" You said")[0] for line in shown[3:] if "You said" in line] == [
            "own", "parent:", "after",
        ]  # fmt: skip
