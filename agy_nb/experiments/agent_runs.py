"""Run the runs: a few at a time, each with a fresh agent."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from agy_nb.errors import InvalidInputError
from agy_nb.experiments.plan import PlannedRun, Variant
from agy_nb.experiments.read_turn import not_started, read_turn
from agy_nb.experiments.results import RunResult
from agy_nb.experiments.variants import arguments_of
from agy_nb.sdk.process.executor import run_in_thread

if TYPE_CHECKING:
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.runtime import Runtime

Finished = Callable[[PlannedRun, RunResult], Awaitable[None]]


async def run_all(
    runs: Iterable[PlannedRun],
    variants: Mapping[str, Variant],
    runtime: Runtime,
    *,
    concurrency: int,
    may_start: Callable[[], bool],
    on_start: Callable[[PlannedRun], None],
    on_finish: Finished,
) -> None:
    """Run the runs in their order.

    An error of a run is a result, and the others continue. If the caller is cancelled, the running
    turns end, their agents stop, and the finished results stay.

    Args:
        runs: The runs.
        variants: The variants by name.
        runtime: Where the agents start.
        concurrency: Most runs at a time.
        may_start: Called before each run; False ends the work after the runs that have started.
        on_start: Called with each run that starts.
        on_finish: Called with each result.
    """
    waiting = deque(runs)

    async def work() -> None:
        while waiting and may_start():
            run = waiting.popleft()
            on_start(run)
            await on_finish(run, await _run(run, variants[run.variant], runtime))

    workers = [asyncio.ensure_future(work()) for _ in range(min(concurrency, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _run(run: PlannedRun, variant: Variant, runtime: Runtime) -> RunResult:
    response = None
    try:
        async with await _start(run, variant, runtime) as agent:
            response = await agent.chat(run.prompt.content, show=False)
            await response.wait()
    except Exception as error:  # the user's function may raise anything
        if response is None or not response.done:
            return not_started(run, error)
    return await run_in_thread(read_turn, run, response)


async def _start(run: PlannedRun, variant: Variant, runtime: Runtime) -> Agent:
    if variant.make is None:
        config, arguments = arguments_of(variant.config, variant.options)
        labels = {"variant": variant.name, "repeat": str(run.repeat)}
        arguments["labels"] = labels | dict(arguments.get("labels") or {})
        return await runtime.create_agent(config, **arguments)
    made = variant.make()
    agent = await made if inspect.isawaitable(made) else made
    if not hasattr(agent, "chat") or not hasattr(agent, "shutdown"):
        msg = f"variant {variant.name!r} must return an agent, got {type(agent).__name__}"
        raise InvalidInputError(msg, field="variants")
    return agent
