"""Agents of a process that was forked or spawned while a cassette is in use."""

import asyncio
import json
import os
import shlex
import subprocess
import sys

import pytest

from agy_nb import cli
from agy_nb.cassette import use_cassette
from agy_nb.cassette.shim import launcher, real_harness
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.sdk.process import refused_harness
from agy_nb.testing import EchoModel
from tests.processes import output_of

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


SDK_ONLY = """
import asyncio, multiprocessing, os, sys
from google.antigravity import Agent, LocalAgentConfig, types

def child(base_url):
    endpoint = types.GeminiAPIEndpoint(base_url=base_url, api_key="scripted")
    kinds = [types.ModelType.TEXT, types.ModelType.IMAGE]
    models = [types.ModelTarget(name="m", types=[kind], endpoint=endpoint) for kind in kinds]

    async def talk():
        async with Agent(LocalAgentConfig(models=models)) as agent:
            return await (await agent.chat("Hello")).text()

    try:
        return asyncio.run(talk())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

if __name__ == "__main__":
    path, start, change, base_url = sys.argv[1:]
    context = multiprocessing.get_context(start)
    if start == "forkserver":
        with context.Pool(1) as pool:  # so that the server runs before the cassette is in use
            pool.apply(os.getpid)
    import agy_nb as agy
    with agy.use_cassette(path):
        exec(change)
        with context.Pool(1) as pool:
            print(pool.apply(child, (base_url,)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "change"),
    [
        ("spawn", "pass"),
        ("forkserver", "pass"),
        ("spawn", "del os.environ['AGY_CASSETTE_IN_USE']"),
        ("spawn", "os.environ.pop('ANTIGRAVITY_HARNESS_PATH', None); os.environ['X'] = '1'"),
    ],
)
async def test_spawned_process_that_does_not_import_the_package_is_refused(tmp_path, start, change):
    program = tmp_path / "program.py"
    program.write_text(SDK_ONLY)
    async with EchoModel() as model:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), str(tmp_path / "c"), start, change, model.base_url,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await output_of(process)
        assert out.decode().startswith("CassetteActiveError: this process was started while"), err
        assert model.requests == []


PLAIN = """
import asyncio, sys
from google.antigravity import Agent, LocalAgentConfig, types

endpoint = types.GeminiAPIEndpoint(base_url=sys.argv[1], api_key="scripted")
kinds = [types.ModelType.TEXT, types.ModelType.IMAGE]
models = [types.ModelTarget(name="m", types=[kind], endpoint=endpoint) for kind in kinds]

async def talk():
    async with Agent(LocalAgentConfig(models=models)) as agent:
        print(await (await agent.chat("Hello")).text())

asyncio.run(talk())
"""


async def in_a_child(base_url, **options):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PLAIN, base_url,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip
    out, err = await output_of(process)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.blocking_allowed  # starting a process writes a file
@pytest.mark.parametrize("named", [False, True])
async def test_script_that_only_uses_the_sdk_is_refused_while_a_cassette_is_in_use(tmp_path, named):
    real = str(real_harness.find())
    options = {"env": {**os.environ, "ANTIGRAVITY_HARNESS_PATH": real}} if named else {}
    async with EchoModel() as model:
        async with use_cassette(tmp_path / "c", "all"):
            code, out, err = await in_a_child(model.base_url, **options)
            assert (code, out, model.requests) == (1, "", [])
            assert f"while the cassette {tmp_path / 'c'} was in use in process {os.getpid()}" in err
            assert "ANTIGRAVITY_HARNESS_PATH" not in os.environ
        assert "You said" in (await in_a_child(model.base_url, **options))[1]


@pytest.mark.blocking_allowed
@pytest.mark.slow
async def test_script_with_a_launcher_is_recorded_beside_a_cassette(tmp_path, capsys):
    path = tmp_path / "launcher"
    options = ["--record", str(tmp_path / "child"), "--echo", "--write-launcher", str(path)]
    assert cli.main(["harness", *options]) == 0
    environ = {**os.environ, "ANTIGRAVITY_HARNESS_PATH": str(path)}
    async with EchoModel() as model, use_cassette(tmp_path / "c", "all"):
        assert "You said" in (await in_a_child(model.base_url, env=environ))[1]
    assert len(load(tmp_path / "child").sessions) == 1


def waited(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


WAYS = {
    "system": lambda command: os.waitstatus_to_exitcode(os.system(shlex.join(command))),
    "popen": lambda command: os.popen(shlex.join(command)).close() or 0,
    "posix_spawn": lambda command: waited(os.posix_spawn(command[0], command, os.environ)),
    "posix_spawnp": lambda command: waited(os.posix_spawnp(command[0], command, os.environb)),
    "spawnv": lambda command: os.spawnv(os.P_WAIT, command[0], command),
    "spawnle": lambda command: os.spawnle(os.P_WAIT, command[0], *command, {**os.environ}),
}

SHOWS = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"

TELLS = """
import runpy, sys, traceback

said = open(sys.argv.pop(), "w")
sys.stdout = sys.stderr = said
try:
    runpy.run_path(sys.argv.pop())
except Exception:
    traceback.print_exc()
"""


@pytest.mark.slow
@pytest.mark.blocking_allowed
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
async def test_script_is_refused_however_it_is_started(tmp_path, way):
    script, said = tmp_path / "script.py", tmp_path / "said"
    script.write_text(PLAIN)

    async def told(base_url):
        command = [sys.executable, "-c", TELLS, base_url, str(script), str(said)]
        assert await asyncio.to_thread(WAYS[way], command) == 0
        return said.read_text()

    async def environment():
        command = [sys.executable, "-c", SHOWS, str(said)]
        assert await asyncio.to_thread(WAYS[way], command) == 0
        return json.loads(said.read_text())

    before = await environment()
    async with EchoModel() as model:
        async with use_cassette(tmp_path / "c", "all"):
            assert f"while the cassette {tmp_path / 'c'} was in use in" in await told(
                model.base_url
            )
            assert model.requests == []
            assert await environment() != before
        assert await environment() == before
        if way == "system":  # the others start a process with the same environment
            assert "You said" in await told(model.base_url)


@pytest.mark.blocking_allowed
async def test_script_of_a_forked_process_is_refused(tmp_path):
    script, said = tmp_path / "script.py", tmp_path / "said"
    script.write_text(PLAIN)
    program = f"""
import os, subprocess, sys
import agy_nb as agy

with agy.use_cassette(sys.argv[1], "all"):
    child = os.fork()
    if child == 0:
        subprocess.run([sys.executable, "-c", {TELLS!r}, *sys.argv[2:]])
        os._exit(0)
    os.waitpid(child, 0)
"""
    async with EchoModel() as model:
        arguments = [str(tmp_path / "c"), model.base_url, str(script), str(said)]
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments)
        assert await process.wait() == 0
        assert "was in use in process" in said.read_text()
        assert model.requests == []


def test_refusing_program_knows_launchers():
    assert launcher.MARK in refused_harness.PROGRAM.read_text()
    assert os.access(refused_harness.PROGRAM, os.X_OK)
