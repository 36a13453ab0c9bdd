"""Run turns: queue them, send the prompt, apply the limits, retry after quota errors.

Rule 1: a turn is a separate task, so it never makes a command wait.
Rule 2: every turn finishes its response, also after an unexpected error.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from agy_nb.errors import (
    AgyError,
    BackendError,
    QuotaExceededError,
    TurnCancelledError,
)
from agy_nb.protocol.events import (
    TurnState,
    Waiting,
)
from agy_nb.runtime.agent_state import AgentState, agent_gone
from agy_nb.runtime.limits.budgets import session_spent
from agy_nb.runtime.limits.pause import StartPause
from agy_nb.runtime.limits.quota import QuotaRegistry, QuotaState
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.turns.response import Response
from agy_nb.runtime.turns.turn_attempts import TurnAttempts, fail, has_begun
from agy_nb.sdk.deadlocks import owner
from agy_nb.sdk.interfaces.agent_clock import now

CANCEL_GRACE_S = 0.5
"""Seconds that a cancelled turn gets to end before its response is finished anyway."""

Busy = Callable[[], AbstractContextManager[None]]
"""Context manager for the time that a turn runs, so that the kernel handles widget messages."""


class TurnRunner:
    """Runs the turns of all agents of a runtime.

    Args:
        config: The runtime's limits.
        quota: The runtime's quota states.
        busy: Returns a context manager that is active while a turn runs.
    """

    def __init__(
        self, config: RuntimeConfig, quota: QuotaRegistry, busy: Busy = contextlib.nullcontext
    ) -> None:
        self._config = config
        self._quota = quota
        self._busy = busy
        self._pause = StartPause(config.chat_pause)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, state: AgentState, response: Response) -> None:
        """Queue a turn behind the agent's other turns."""
        response.on_cancel(partial(self._cancel, state, response))
        task = asyncio.create_task(
            self._run(state, response), name=f"agy_nb turn {response.turn_id}"
        )
        state.enter_turn(response, task)
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, state, response))

    def accompany(self, state: AgentState, response: Response) -> None:
        """Watch a turn that the backend began for a trigger or a wake-up, until its end."""
        response.on_cancel(partial(self._cancel_own, state, response))
        quota = self._quota.state(state.session.quota_key)
        run = TurnAttempts(self._config, quota, state, response, state.session.cancel_own_turn)
        task = asyncio.create_task(
            self._see_through(run, state, response), name=f"agy_nb turn {response.turn_id}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        run.watch(state.enter_own_turn)
        state.enter_turn(response, task)

    async def _see_through(self, run: TurnAttempts, state: AgentState, response: Response) -> None:
        try:
            with self._busy():
                await response.over.wait()
        finally:
            fail(response, agent_gone(state.agent_id))  # does nothing if the turn is over
            run.stop()
            state.leave_own_turn(response)
            await run.halted()
            await state.keep_checkpoint(response)
            state.leave_turn(response)

    async def _cancel_own(self, state: AgentState, response: Response) -> None:
        try:
            state.gate.shut()
            with contextlib.suppress(AgyError):
                await state.session.cancel_own_turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_GRACE_S):
                    await response.over.wait()
        finally:
            response.finish(TurnState.CANCELLED, error=TurnCancelledError(response.partial_text))

    def _forget(self, state: AgentState, response: Response, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not response.done:  # cancelled before its first step
            fail(response, agent_gone(state.agent_id))
        state.leave_turn(response)

    async def _run(self, state: AgentState, response: Response) -> None:
        owner.set(state)
        try:
            async with state.turn:
                if await self._pace(state, response):
                    with self._busy():
                        await self._try(state, response)
        except AgyError as error:
            fail(response, error)
        except asyncio.CancelledError:
            fail(response, agent_gone(state.agent_id))
            raise
        except Exception as error:
            fail(response, BackendError(f"the turn failed: {type(error).__name__}: {error}"))
        finally:
            state.leave_turn(response)

    async def _pace(self, state: AgentState, response: Response) -> bool:
        """Keep the pause after the previous start; return whether the turn is to start."""
        if not self._config.chat_pause or response.done or state.clock.may_skip():
            return not response.done
        return await self._pause.wait(response)

    async def _try(self, state: AgentState, response: Response) -> None:
        if state.cost_of is not None and (spent := session_spent(self._config, state.spending)):
            raise spent
        quota = self._quota.state(state.session.quota_key)
        run = TurnAttempts(self._config, quota, state, response, state.session.cancel)
        try:
            for attempt in itertools.count():
                may_retry = attempt < self._config.max_quota_retries
                if (attempt or may_retry) and not await self._throttle(quota, state, response):
                    return
                # A loop, because the harness may begin another turn of its own before this one is
                # sent.
                while state.own_turn is not None and not response.done:
                    await _first_to_end(state.own_turn, response)
                if response.done:
                    return
                run.may_retry = may_retry
                try:
                    await run.attempt()
                except QuotaExceededError as error:
                    run.count_hit(error)
                    if not may_retry or has_begun(response):
                        raise
                else:
                    return
        finally:
            run.stop()
            if run.began:
                await state.keep_checkpoint(response)

    async def _throttle(self, quota: QuotaState, state: AgentState, response: Response) -> bool:
        """Wait until the key is free; other agents may extend the wait with new quota errors."""
        while (seconds := quota.wait_s()) and not state.clock.may_skip():
            if response.done:
                return False
            moment = now()
            response.emit(
                Waiting(
                    trajectory=response.root,
                    reason="quota",
                    until=moment + seconds,
                    seconds=seconds,
                    at=moment,
                )
            )
            if not await _sleep(seconds, response):
                return False
        return not response.done

    async def _cancel(self, state: AgentState, response: Response) -> None:
        try:
            if state.current is response:
                state.gate.shut()
                with contextlib.suppress(AgyError):
                    await state.session.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CANCEL_GRACE_S):
                        await response.over.wait()
        finally:
            response.finish(TurnState.CANCELLED, error=TurnCancelledError(response.partial_text))

    async def close(self) -> None:
        """Cancel all turns and wait until they are over, at most `exit_timeout` seconds."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.exit_timeout)


async def _first_to_end(*responses: Response) -> None:
    """Wait until one of several turns is over."""
    # Of `over`, not of `wait()`: that would count as a reader, and an interrupt of any cell cancels
    # the turns that have one.
    waiting = [asyncio.ensure_future(response.over.wait()) for response in responses]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.sleep(0)


async def _sleep(seconds: float, response: Response) -> bool:
    """Wait for some seconds or the end of the turn; return whether the turn is still open."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await response.over.wait()
    return not response.done
