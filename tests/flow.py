"""How much of our code a turn goes through: the modules and functions of ours that are entered.

`python -m tests.flow` measures a chat of a warm agent without a view, a whole session that is
recorded and one that is replayed, and the load of a recording up to its table of usage; `-v` lists
the functions. A number that grows means that a call takes one more detour.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import agy_nb as agy
from agy_nb.testing import ScriptedModel, say

if TYPE_CHECKING:
    from types import FrameType

PACKAGE = Path(agy.__file__).parent
STANDS_IN = str(PACKAGE / "testing")  # the model, which is not ours in a real run


class Entered:
    """Takes note of each function of ours that is called while it is entered.

    It sees this thread, and threads that start meanwhile. Enter it on an event loop, which gets new
    threads for `asyncio.to_thread`.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _arg: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(PACKAGE)) and not file.startswith(STANDS_IN):
            module = Path(file).relative_to(PACKAGE).as_posix()
            self.calls[module, frame.f_code.co_qualname] += 1

    @property
    def flow(self) -> Flow:
        """What was entered, counted."""
        return Flow(len({module for module, _ in self.calls}), len(self.calls))


class Flow(NamedTuple):
    """What a piece of work goes through."""

    modules: int
    functions: int


async def of_a_chat() -> Entered:
    """A turn of an agent that has had one, from `chat` to its end."""
    config = agy.RuntimeConfig(chat_pause=0)
    async with ScriptedModel(lambda _request: say("Hello")) as model, agy.Runtime(config) as rt:
        agent = await rt.create_agent(model.config())
        await agent.chat_text("hi")
        with Entered() as entered:
            await (await agent.chat("hi"))
    return entered


async def of_a_recorded_session(path: Path) -> Entered:
    """A session of one turn that is recorded, from `use_cassette` to the runtime's end."""
    async with ScriptedModel(lambda _request: say("Hello")) as model:
        async with agy.use_cassette(path / "first", "all"):  # imports what a recording needs
            await _session(model.config())
        with Entered() as entered:
            async with agy.use_cassette(path / "second", "all"):
                await _session(model.config())
    return entered


async def of_a_load(path: Path) -> Entered:
    """The load of a recorded session, from its file to the table of usage."""
    async with agy.use_cassette(path, "all"), ScriptedModel([say("Hello")]) as model:
        await _session(model.config())
    agy.load(path, cache=False).usage()  # imports what the tables need
    with Entered() as entered:
        agy.load(path, cache=False).usage()
    return entered


async def of_a_replayed_session(path: Path) -> Entered:
    """A recorded session of one turn, from `use_cassette` to the runtime's end."""
    async with agy.use_cassette(path, "all"), ScriptedModel([say("Hello")]) as model:
        await _session(model.config())
    async with agy.use_cassette(path, "none"):  # imports what a replay needs
        await _session(None)
    with Entered() as entered:
        async with agy.use_cassette(path, "none"):
            await _session(None)
    return entered


async def _session(config: Any) -> None:
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        agent = await runtime.create_agent(config)
        assert await agent.chat_text("hi") == "Hello"
        await agent.shutdown()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="list the functions")
    verbose = parser.parse_args().verbose
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "chat": await of_a_chat(),
            "recorded session": await of_a_recorded_session(Path(folder, "recorded")),
            "replayed session": await of_a_replayed_session(Path(folder, "replayed")),
            "load": await of_a_load(Path(folder, "loaded")),
        }
    for name, entered in found.items():
        print(f"{name}: {entered.flow.modules} modules, {entered.flow.functions} functions")
        for (module, function), calls in sorted(entered.calls.items()) if verbose else ():
            print(f"    {module}: {function} ({calls})")


if __name__ == "__main__":
    asyncio.run(main())
