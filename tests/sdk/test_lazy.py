"""The SDK is imported on first use: once, whole, and however many want it at that moment."""

import asyncio
import gc
import importlib
import sys
import threading

import pytest

from agy_nb.sdk.lazy_backend import load
from tests.processes import output_of


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    """A module whose import lasts until `go` is set; `begun` is set once it has begun."""
    gates = {"begun": threading.Event(), "go": threading.Event()}
    monkeypatch.setattr(threading, "_agy_test_gates", gates, raising=False)
    (tmp_path / "agy_test_slow.py").write_text(
        "import threading\n"
        "gates = threading._agy_test_gates\n"
        "gates['begun'].set()\n"
        "assert gates['go'].wait(30)\n"
        "ready = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield gates
    gates["go"].set()
    sys.modules.pop("agy_test_slow", None)


@pytest.mark.blocking_allowed  # threads wait, not a loop
def test_module_that_another_thread_imports_is_given_whole(slow_module, monkeypatch):
    imports = []

    def import_module(name, real=importlib.import_module):
        imports.append(name)
        if len(imports) == 2:
            slow_module["go"].set()
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    first = threading.Thread(target=load, args=("agy_test_slow",))
    first.start()
    assert slow_module["begun"].wait(30)
    assert load("agy_test_slow").ready
    first.join()


def test_collector_works_again_after_a_load():
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError):
        load("agy_nb.no_such_module")
    assert gc.isenabled()


FIRST_OF_ALL = """
import asyncio
import agy_nb as agy

async def main():
    async with agy.Runtime() as runtime:
        agents = await asyncio.gather(*(runtime.create_agent() for _ in range(4)))
        print(*[agent.id for agent in agents])

asyncio.run(main())
"""


@pytest.mark.real
async def test_first_agents_of_a_process_may_start_side_by_side():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FIRST_OF_ALL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await output_of(process)
    assert process.returncode == 0, err.decode()
    assert sorted(out.split()[-4:]) == [b"1", b"2", b"3", b"4"]
