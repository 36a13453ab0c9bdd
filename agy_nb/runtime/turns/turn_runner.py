"""Run turns: queue them, send the prompt, apply the limits, retry after quota errors.

Rule 1: a turn is a separate task, so it never makes a command wait.
Rule 2: every turn finishes its response, also after an unexpected error.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from agy_nb.errors import (
    AgyError,
    AgyTimeoutError,
    BackendError,
    QuotaExceededError,
    TurnCancelledError,
    TurnDeniedError,
)
from agy_nb.protocol.error_codec import to_error, to_info
from agy_nb.protocol.events import (
    Error,
    Event,
    State,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    TurnState,
    Waiting,
)
from agy_nb.runtime.agent_state import AgentState, agent_gone
from agy_nb.runtime.limits.budgets import TurnBudget, session_spent, turn_too_long
from agy_nb.runtime.limits.idle_timeout import DurationWatch, SilenceWatch, Watch
from agy_nb.runtime.limits.pause import StartPause
from agy_nb.runtime.limits.quota import QuotaRegistry, QuotaState
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.turns.response import Response
from agy_nb.sdk.deadlocks import owner
from agy_nb.sdk.interfaces import now

CANCEL_GRACE_S = 0.5
"""Seconds that a cancelled turn gets to end before its response is finished anyway."""

Begin = Callable[[Response, Sequence[Watch], Callable[[Event], None]], None]
"""Sends events to a turn, its watches and its observer."""

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
        run = _Run(self._config, quota, state, response, state.session.cancel_own_turn)
        task = asyncio.create_task(
            self._see_through(run, state, response), name=f"agy_nb turn {response.turn_id}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        run.watch(state.enter_own_turn)
        state.enter_turn(response, task)

    async def _see_through(self, run: _Run, state: AgentState, response: Response) -> None:
        try:
            with self._busy():
                await response.wait()
        finally:
            _fail(response, agent_gone(state.agent_id))  # does nothing if the turn is over
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
                    await response.wait()
        finally:
            response.finish(TurnState.CANCELLED, error=TurnCancelledError(response.partial_text))

    def _forget(self, state: AgentState, response: Response, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not response.done:  # cancelled before its first step
            _fail(response, agent_gone(state.agent_id))
        state.leave_turn(response)

    async def _run(self, state: AgentState, response: Response) -> None:
        owner.set(state)
        try:
            async with state.turn:
                if await self._pace(state, response):
                    with self._busy():
                        await self._try(state, response)
        except AgyError as error:
            _fail(response, error)
        except asyncio.CancelledError:
            _fail(response, agent_gone(state.agent_id))
            raise
        except Exception as error:
            _fail(response, BackendError(f"the turn failed: {type(error).__name__}: {error}"))
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
        run = _Run(self._config, quota, state, response, state.session.cancel)
        try:
            for attempt in itertools.count():
                may_retry = attempt < self._config.max_quota_retries
                if (attempt or may_retry) and not await self._throttle(quota, state, response):
                    return
                while state.own_turn is not None and not response.done:
                    await _first_to_end(state.own_turn, response)
                if response.done:
                    return
                run.may_retry = may_retry
                try:
                    await run.attempt()
                except QuotaExceededError as error:
                    run.count_hit(error)
                    if not may_retry or _has_begun(response):
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


class _Run:
    """The tries of one turn, and the limits that can end it.

    Attributes:
        may_retry: Whether the turn is tried again if the current try exceeds the quota.
        began: Whether the prompt was sent.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        quota: QuotaState,
        state: AgentState,
        response: Response,
        halt: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.may_retry = False
        self.began = False
        self._config = config
        self._quota = quota
        self._state = state
        self._response = response
        self._halt = halt
        self._budget = TurnBudget(config, state.spending, state.cost_of)
        self._silence: SilenceWatch | None = None
        self._cancelling: list[asyncio.Task[None]] = []
        self._ended_by: AgyError | None = None
        self._failed: Error | None = None  # this try's last error step, unless the model went on
        self._sending = False
        self._hit_counted = False
        self._hits_seen = quota.recorded
        limit = config.max_turn_duration
        self._duration = (
            DurationWatch(limit, lambda: self._end(turn_too_long(limit)), state.clock)
            if limit is not None
            else None
        )

    def stop(self) -> None:
        """Stop all watches."""
        self._sending = False
        for watch in (self._silence, self._duration):
            if watch is not None:
                watch.stop()

    def watch(self, begin: Begin) -> None:
        """Start to watch the turn's events.

        Args:
            begin: Sends the agent's events to the turn.
        """
        self._silence = SilenceWatch(self._config.chat_timeout, self._on_silence, self._state.clock)
        watches = (self._silence, self._duration) if self._duration else (self._silence,)
        begin(self._response, watches, self._observe)
        self._response.emit(State(state=TurnState.RUNNING, at=now()))
        self._sending = self.began = True

    async def halted(self) -> None:
        """Wait until the backend has handled the request to end the turn, if there was one."""
        await asyncio.gather(*self._cancelling, return_exceptions=True)

    async def attempt(self) -> None:
        """Send the prompt once and wait for the end of the turn.

        Raises:
            AgyError: The try failed.
        """
        state, response = self._state, self._response
        self._ended_by, self._failed = None, None
        self._hit_counted, self._hits_seen = False, self._quota.recorded
        self.watch(state.begin)
        try:
            outcome = await state.session.run_turn(response.prompt)
        except TurnCancelledError:
            if self._ended_by is not None:
                raise self._ended_by from self._ended_by.__cause__
            response.finish(TurnState.CANCELLED, error=TurnCancelledError(response.partial_text))
        else:
            self._quota.record_success(self._hits_seen)
            response.finish(
                TurnState.DONE,
                stop_reason=outcome.stop_reason,
                structured_output=outcome.structured_output,
            )
        finally:
            self._sending = False
            if self._silence is not None:
                self._silence.stop()
            state.end()
            await self.halted()

    def count_hit(self, error: QuotaExceededError) -> None:
        """Record a quota error, unless the same error was counted as an error step before."""
        if not self._hit_counted:
            self._quota.record_hit(error.retry_after if error.hinted else None)
            self._hits_seen = self._quota.recorded
        self._hit_counted = True

    def _observe(self, event: Event) -> None:
        """Count an event of the turn against quota and budgets."""
        if isinstance(event, Text | Thought | ToolCall | ToolResult):
            self._failed = None
        if isinstance(event, Error) and not event.fatal:
            self._failed = event
            error = to_error(event.error)
            if isinstance(error, QuotaExceededError):
                self._hit_counted = False
                self.count_hit(error)
        elif isinstance(event, Text | ToolCall):
            self._hit_counted = False
        if (reason := self._budget.add(event)) is not None:
            self._end(reason)

    def _on_silence(self) -> None:
        """End the turn after a silence.

        If the model's last event was an error, the user needs that error more than "timeout": the
        harness often waits silently after an error that it cannot solve by a retry.
        """
        limit = self._config.chat_timeout
        timeout = AgyTimeoutError(
            limit,
            "chat",
            hint="raise RuntimeConfig(chat_timeout=...) or AGI_CHAT_TIMEOUT_SECS. The text so far "
            "is in response.partial_text",
        )
        if (failed := self._failed) is None:
            self._end(timeout)
            return
        error = to_error(failed.error)
        words = (
            f"{failed.error.message}. The turn was ended after {limit:g} s of silence "
            "(RuntimeConfig(chat_timeout=...))"
        )
        error.args = (words,)
        error.__cause__ = timeout
        self._end(error)

    def _end(self, error: AgyError) -> None:
        """End the turn with an error, or only this try if the turn may be tried again."""
        if self._ended_by is not None or self._response.done:
            return
        self._ended_by = error
        again = isinstance(error, QuotaExceededError) and self.may_retry
        if not again or _has_begun(self._response):
            _fail(self._response, error)
        if self._sending:
            self._state.gate.shut()
            self._cancelling.append(asyncio.create_task(self._halt()))


def _fail(response: Response, error: AgyError) -> None:
    if not response.done:
        response.emit(Error(error=to_info(error), fatal=True, at=now()))
        denied = isinstance(error, TurnDeniedError)
        response.finish(TurnState.DENIED if denied else TurnState.FAILED, error=error)


def _has_begun(response: Response) -> bool:
    """Return whether another try would repeat text or a tool call."""
    return any(isinstance(event, Text | ToolCall) for event in response.event_log)


async def _first_to_end(*responses: Response) -> None:
    """Wait until one of several turns is over."""
    waiting = [asyncio.ensure_future(response.wait()) for response in responses]
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
