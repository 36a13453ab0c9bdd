"""What agy_nb changes of the SDK: listed, few, and no hang when the SDK's next release comes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.antigravity.connections.local import local_connection

import agy_nb as agy
from agy_nb.sdk.patches import table
from tests.sdk.private_names import private_names

ROOT = Path(__file__).parents[3]
MOST_PRIVATE = 12
PRIVATE = sorted({each.name for each in table.ATTRIBUTES if each.is_private})


@pytest.mark.slow
def test_each_private_attribute_of_the_sdk_that_we_touch_is_in_the_table():
    assert sorted(private_names()) == PRIVATE


def test_private_attributes_are_few():
    assert len(PRIVATE) <= MOST_PRIVATE


@pytest.mark.slow
def test_cassettes_and_runtime_touch_no_private_attribute_of_the_sdk():
    assert {file for files in private_names().values() for file in files if "sdk/" not in file} == (
        set()
    )


def test_installed_sdk_has_every_attribute_of_the_table():
    assert [each.name for each in table.ATTRIBUTES if each.is_missing()] == []
    table.check()


@pytest.mark.parametrize("attribute", table.ATTRIBUTES, ids=lambda each: each.name)
def test_each_attribute_says_why_and_what_happens_without_it(attribute):
    assert attribute.why
    if attribute.is_private:
        assert attribute.without, "the SDK may rename it; say what happens then"


REQUIRED = [each for each in table.ATTRIBUTES if not each.without and ":" in each.owner]


@pytest.mark.parametrize("attribute", REQUIRED, ids=lambda each: each.name)
def test_missing_attribute_that_we_need_is_named(monkeypatch, attribute):
    module, _, kind = attribute.owner.partition(":")
    owner = getattr(sys.modules[module], kind)
    for each in owner.__mro__[:-1]:
        if attribute.name in vars(each):
            monkeypatch.delattr(each, attribute.name)
    if hasattr(object, attribute.name) or hasattr(owner, attribute.name):
        pytest.skip("it cannot be taken away")
    with pytest.raises(agy.UnsupportedSdkError, match=re.escape(f"{kind}.{attribute.name}")):
        table.check()


@pytest.mark.parametrize("name", ["subprocess", "websockets"])
def test_missing_module_that_we_replace_is_named(monkeypatch, name):
    monkeypatch.delattr(local_connection, name)
    with pytest.raises(agy.UnsupportedSdkError, match=rf"local_connection\.{name}, which"):
        table.check()


# --- the next release of the SDK, simulated ------------------------------------------------

SESSION = """
import asyncio
import sys
import agy_nb as agy
from google.antigravity import Agent
from agy_nb.testing import ScriptedModel, call, say

def weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"

async def with_runtime(config):
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        agent = await runtime.create_agent(config, tools=[weather], ask_user=lambda request: True)
        said = await agent.chat_text("hi")
        await agent.trigger("wake up")
        await agent.wait_for_idle()
        return said

async def with_sdk(config):
    async with Agent(config) as agent:
        return await (await agent.chat("hi")).text()

async def main(folder):
    script = [call("weather", city="Oslo"), say("Sunny."), say("Awake.")]
    async with ScriptedModel(lambda request: script[(len(model.requests) - 1) % 3]) as model:
        config = model.config(save_dir=folder)
        for mode in ("once", "none"):
            async with agy.use_cassette(f"{folder}/runtime", mode):
                print(await with_runtime(config))
    async with ScriptedModel(lambda request: say("Hello.")) as model:
        config = model.config(save_dir=folder)
        for mode in ("once", "none"):
            async with agy.use_cassette(f"{folder}/sdk", mode):
                print(await with_sdk(config))

try:
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), 150))
except agy.UnsupportedSdkError as error:
    print("UnsupportedSdkError", error)
"""


@pytest.fixture
def next_release(tmp_path):
    """Run a session on a copy of the SDK in which texts of the source are replaced."""

    def run(changes):
        source = Path(local_connection.__file__).parents[2]
        copy = tmp_path / "site" / "google" / "antigravity"
        shutil.copytree(
            source, copy, ignore=shutil.ignore_patterns("bin", "*_test.py", "__pycache__")
        )
        count = 0
        for path in copy.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for pattern, replacement in changes.items():
                text, found = re.subn(pattern, replacement, text)
                count += found
            path.write_text(text, encoding="utf-8")
        assert count
        binary = source / "bin" / ("localharness.exe" if os.name == "nt" else "localharness")
        done = subprocess.run(
            [sys.executable, "-c", SESSION, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)]),
                "ANTIGRAVITY_HARNESS_PATH": str(binary),
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


WORKS = ["Sunny.", "Sunny.", "Hello.", "Hello."]
simulated = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


IN_TURN = [[name] for name in PRIVATE] if os.environ.get("AGY_NEXT_RELEASE") else [PRIVATE]
"""All at once; `make sdk-matrix` renames one after the other."""


@pytest.mark.parametrize("names", [pytest.param(names, marks=simulated) for names in IN_TURN])
def test_session_works_when_the_sdk_renames_its_private_attributes(next_release, names):
    changes = {rf"\b{name}\b": f"{name}_of_the_next_release" for name in names}
    assert next_release(changes) == WORKS


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=simulated) for name in ("subprocess", "websockets")]
)
def test_agent_says_what_is_missing_when_the_sdk_starts_its_harness_in_another_way(
    next_release, name
):
    changes = {rf"\bimport {name}\b": f"import {name} as other", rf"\b{name}\.(?=\w)": "other."}
    said = next_release(changes)
    assert [line.partition(" ")[0] for line in said] == ["UnsupportedSdkError"]
    assert f"local_connection.{name}" in said[0]
