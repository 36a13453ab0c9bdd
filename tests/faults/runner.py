"""Sets one cell up with the real runtime, the real SDK and its real harness, and tells what came.

Rule 1: nothing is stood in for but the model and, where the socket is at fault, the wire to it.
Rule 2: the runner knows phases; what goes wrong is the fault's own affair.
"""

import asyncio
import gc
import importlib
import inspect
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.antigravity import ModelAPIRetryConfig, ModelOutputRetryConfig, RetryConfig

import agy_nb as agy
from agy_nb.testing import (
    FaultProxy,
    ModelRequest,
    ModelTurn,
    ProxiedConnection,
    ScriptedModel,
    call,
    say,
)
from tests.faults.cells import ANSWER, ENDED, Fault, Phase, Row, Undo
from tests.faults.left import Inventory
from tests.stalls import Stalls

CHAT_TIMEOUT_S = 3.0
START_TIMEOUT_S = 5.0
PATIENT_S = 120.0
SOUND_S = 1.0
"""Seconds for a start and a turn on a machine that has little else to do, with some to spare."""
AT_ONCE = RetryConfig(
    api_retry=ModelAPIRetryConfig(
        max_retries=0, initial_sleep_duration_ms=1, exponential_multiplier=1.0, jitter_range=0.0
    ),
    model_output_retry=ModelOutputRetryConfig(max_retries=0),
)
FAULTY, NEXT = "the prompt of the fault", "the prompt after it"
FINE = "fine"
STREAMED = say([f"word{number} " for number in range(20)], chunk_delay_s=0.02)
BLOCKED_S = 60.0


@dataclass
class Gate:
    """A place where the agent waits in this process until it may go on."""

    reached: asyncio.Event
    open: asyncio.Event

    @classmethod
    def shut(cls) -> "Gate":
        return cls(asyncio.Event(), asyncio.Event())

    async def passed(self) -> None:
        self.reached.set()
        await self.open.wait()


class Stage:
    """One runtime with one agent, led to a phase."""

    def __init__(self, phase: Phase, fault: Fault, folder: Path) -> None:
        self.pace = 1.0
        self.limits = agy.RuntimeConfig(chat_pause=0, exit_timeout=PATIENT_S)
        self.phase, self.fault, self.folder = phase, fault, folder
        self.tool, self.approval = Gate.shut(), Gate.shut()
        self.calls_tool = phase in (Phase.TOOL, Phase.APPROVAL) or fault.blocks
        if phase is not Phase.TOOL:
            self.tool.open.set()
        if phase is not Phase.APPROVAL:
            self.approval.open.set()
        self.unblocked = threading.Event()
        self.undo: list[Undo] = [self.unblocked.set]
        self.proxy = FaultProxy(self._at_start)
        self.model = ScriptedModel(self._answer)
        self.inventory: Inventory
        self.runtime: agy.Runtime
        self.agent: agy.Agent | None = None
        self._hurt = self._starting = False

    # -- what the agent meets ----------------------------------------------------------------

    def _answer(self, request: ModelRequest) -> ModelTurn:
        if request.user_text != FAULTY:
            return say(FINE)
        if self.calls_tool and not request.tool_results:
            return call("work")
        return self.fault.answer or (say("done") if request.tool_results else STREAMED)

    def _tool(self) -> Callable:
        if not self.fault.blocks:

            async def work() -> str:
                """Work."""
                await self.tool.passed()
                return "worked"

            return work
        loop = asyncio.get_running_loop()

        def work() -> str:
            """Work, and hold the thread."""
            loop.call_soon_threadsafe(self.tool.reached.set)
            self.unblocked.wait(BLOCKED_S)
            return "worked"

        return work

    async def _ask(self, request: agy.ApprovalRequest) -> bool:
        await self.approval.passed()
        return True

    async def _at_start(self, line: ProxiedConnection) -> None:
        self.inventory.leaders.add(line.process.pid)
        if self._starting:
            await self._hurt_it(line)

    async def _hurt_it(self, line: ProxiedConnection | None) -> None:
        if self._hurt or self.fault.act is None:
            return
        self._hurt = True
        done = self.fault.act(line, self.folder / "first")
        if inspect.isawaitable(done):
            await done
        elif done is not None:
            self.undo.append(done)

    async def create(self, name: str) -> agy.Agent:
        """Start an agent with a folder of its own."""
        config = await asyncio.to_thread(
            self.model.config,
            retry_config=AT_ONCE,
            workspaces=[str(self.folder)],
            save_dir=str(self.folder / name / "save"),
            app_data_dir=str(self.folder / name / "app"),
        )
        return await self.runtime.create_agent(config, tools=[self._tool()], ask_user=self._ask)

    # -- phases ------------------------------------------------------------------------------

    async def lead_up(self) -> Callable:
        """Go to the phase, have the fault come; give what the user waits for then."""
        if self.phase is Phase.START:
            await (await self._sound("before")).shutdown()
            self._starting = True
            return self._start
        self.agent = await self._sound("first")
        if self.phase is Phase.IDLE:
            await self._hurt_it(self.proxy.connections[-1])
            return self._chat
        response = await self.agent.chat(FAULTY)
        if self.phase is Phase.TOOL or self.fault.blocks:
            await self.tool.reached.wait()
        elif self.phase is Phase.APPROVAL:
            await self.approval.reached.wait()
        elif self.fault.answer is None:
            await anext(aiter(response.text_stream()))
        else:
            await self.model.requested(2)
        await self._hurt_it(self.proxy.connections[-1])
        self.tool.open.set()
        self.approval.open.set()
        return self._shut_down if self.phase is Phase.SHUTDOWN else response.text

    async def _sound(self, name: str) -> agy.Agent:
        """Start an agent and have one turn of it, and set the limits by the time that it took."""
        self._limit(PATIENT_S, PATIENT_S)
        began = time.monotonic()
        agent = await self.create(name)
        assert await agent.chat_text("hello") == FINE
        self.pace = max(1.0, (time.monotonic() - began) / SOUND_S)
        self._limit(CHAT_TIMEOUT_S * self.pace, START_TIMEOUT_S * self.pace)
        return agent

    def _limit(self, chat: float, start: float) -> None:
        """A runtime's limits are frozen; these depend on how busy the machine is right now."""
        for name, seconds in (("chat_timeout", chat), ("start_timeout", start)):
            object.__setattr__(self.limits, name, seconds)

    def be_patient(self) -> None:
        """What follows is to work, however long it takes."""
        self._limit(PATIENT_S, PATIENT_S)

    async def _start(self) -> None:
        if self.fault.early:
            await self._hurt_it(None)
        self.agent = await self.create("first")

    async def _chat(self) -> None:
        await self.agent.chat_text(FAULTY)

    async def _shut_down(self) -> None:
        agent, self.agent = self.agent, None
        await agent.shutdown()

    def heal(self) -> None:
        """Undo what was done."""
        for undo in self.undo:
            undo()
        self.undo.clear()


@asynccontextmanager
async def staged(phase: Phase, fault: Fault, folder: Path) -> AsyncIterator[Stage]:
    """A stage; whatever was done to it is undone in the end."""
    stage = Stage(phase, fault, folder)
    async with stage.model, stage.proxy, agy.Runtime(stage.limits) as stage.runtime:
        try:
            yield stage
        finally:
            stage.heal()


async def run(phase: Phase, fault: Fault, folder: Path) -> Row:
    """Run one cell.

    Args:
        phase: What goes on when the fault comes.
        fault: What goes wrong.
        folder: For what the agents save; empty.
    """
    await asyncio.to_thread(importlib.import_module, "agy_nb.sdk.backend")  # once, not in a limit
    inventory = Inventory()
    with python_says() as said:
        async with staged(phase, fault, folder) as stage, Stalls(every_s=0.01) as stalls:
            stage.inventory = inventory
            work = await stage.lead_up()
            began = time.monotonic()
            seen = await outcome(work())
            seconds = time.monotonic() - began
            stage.be_patient()
            if fault.early:
                stage.heal()
            next_turn = None
            if stage.agent is not None:
                next_turn = await outcome(expect_fine(stage.agent))
            next_agent = await outcome(next_one(stage))
        left = await inventory.left()
        await asyncio.to_thread(gc.collect)
    return Row(
        pace=stage.pace,
        seen=seen or (ENDED if phase is Phase.SHUTDOWN else ANSWER),
        seconds=seconds,
        stall=stalls.longest,
        next_turn=next_turn,
        next_agent=next_agent,
        left=left,
        logged=tuple(said),
    )


async def expect_fine(agent: agy.Agent) -> None:
    text = await agent.chat_text(NEXT)
    assert text == FINE, text


async def next_one(stage: Stage) -> None:
    agent = await stage.create("next")
    await expect_fine(agent)
    await agent.shutdown()


async def outcome(work: Awaitable) -> str:
    """The class and the first words of the error that it ends with; empty where it ends well."""
    try:
        await work
    except Exception as error:
        return in_words(error)
    return ""


def in_words(error: Exception) -> str:
    """An error's class and its first words, the same in every run and on every machine."""
    if isinstance(error, agy.AgyTimeoutError):
        return f"AgyTimeoutError: {error.operation} took longer than its limit"
    first = re.split(r"[;:\n]|\. ", str(error), maxsplit=1)[0]
    return f"{type(error).__name__}: {re.sub(r'/[^ ]*/', '', first)}"


@contextmanager
def python_says() -> Iterator[list[str]]:
    """What asyncio reports as an error, such as an exception that nobody took."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener = Listener(logging.ERROR)
    logger = logging.getLogger("asyncio")
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)
