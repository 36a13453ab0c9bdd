"""The oldest SDK that we support: a small session in an environment of its own."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agy_nb.sdk.versions import OLDEST

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SESSION = """
import asyncio
import agy_nb as agy
from agy_nb.sdk.versions import sdk_version
from agy_nb.testing import ScriptedModel, call, fail, say

def weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"

async def main():
    script = [call("weather", city="Oslo"), say("Sunny."), fail(400), say("Again.")]
    async with ScriptedModel(script) as model, agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as rt:
        agent = await rt.create_agent(model.config(), tools=[weather], ask_user=lambda r: True)
        response = await agent.chat("hi")
        print(await response.text(), [call.name for call in response.tool_calls])
        try:
            await agent.chat_text("hi")
        except agy.BackendError as error:
            print(error.http_code)
        print(await agent.chat_text("hi"), (await agent.total_usage()) is not None)
    print(sdk_version())

asyncio.run(main())
"""


def oldest_environment() -> Path:
    folder = ROOT / ".venvs" / "sdk-oldest"
    python, stamp = folder / "bin" / "python", folder / "agy_nb.stamp"
    folder.parent.mkdir(exist_ok=True)
    with (ROOT / ".venvs" / "sdk-oldest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != OLDEST:
            uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
            wanted = [f"google-antigravity=={OLDEST}", "nest-asyncio2", "aiohttp", "packaging"]
            for command in (
                [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", str(python), *wanted],
            ):
                subprocess.run(command, check=True, timeout=300)
            stamp.write_text(OLDEST, encoding="utf-8")
    return python


def test_session_works_with_the_oldest_sdk(tmp_path):
    done = subprocess.run(
        [oldest_environment(), "-c", SESSION],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Sunny. ['weather']", "400", "Again. True", OLDEST]
