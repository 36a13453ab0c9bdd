"""One turn: queued, paced, sent, watched, tried again after a quota error, finished.

Rule 1: a turn is a task beside the loop; nothing here makes a command wait.
Rule 2: a turn always finishes its response, whatever happens.
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
from agy_nb.runtime.agent_state import AgentState, gone
from agy_nb.runtime.limits.budgets import TurnBudget, session_spent, turn_too_long
from agy_nb.runtime.limits.idle_timeout import DurationWatch, SilenceWatch, Watch
from agy_nb.runtime.limits.pause import StartPause
from agy_nb.runtime.limits.quota import QuotaRegistry, QuotaState
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.turns.response import Response
from agy_nb.sdk.deadlocks import owner
from agy_nb.sdk.interfaces import now

CANCEL_GRACE_S = 0.5
"""Seconds a cancelled turn gets to end by itself before its response ends without it."""

Begin = Callable[[Response, Sequence[Watch], Callable[[Event], None]], None]
"""Leads events to a turn, and tells its watches and what looks at its events."""

Busy = Callable[[], AbstractContextManager[None]]
"""Told the kernel while a turn runs, so that clicks get through."""


class TurnRunner:
    """Runs the turns of all agents of a runtime.

    Args:
        config: The runtime's limits.
        quota: The runtime's quota states.
        busy: Entered while a turn runs.
    """

    def __init__(
        self, config: RuntimeConfig, quota: QuotaRegistry, busy: Busy = contextlib.nullcontext
    ) -> None:
        self._config = config
        self._quota = quota
        self._busy = busy
        self._pause = StartPause(config.chat_pause)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, record: AgentState, response: Response) -> None:
        """Queue a turn behind those that the agent has already."""
        response.on_cancel(partial(self._cancel, record, response))
        task = asyncio.create_task(
            self._run(record, response), name=f"agy_nb turn {response.turn_id}"
        )
        record.enter_turn(response, task)
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, record, response))

    def accompany(self, record: AgentState, response: Response) -> None:
        """See a turn through that the backend has begun by itself: a trigger's, or a wake-up's."""
        response.on_cancel(partial(self._cancel_own, record, response))
        state = self._quota.state(record.session.quota_key)
        run = _Run(self._config, state, record, response, record.session.cancel_own_turn)
        task = asyncio.create_task(
            self._see_through(run, record, response), name=f"agy_nb turn {response.turn_id}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        run.watch(record.enter_own_turn)
        record.enter_turn(response, task)

    async def _see_through(self, run: _Run, record: AgentState, response: Response) -> None:
        try:
            with self._busy():
                await response.wait()
        finally:
            _fail(response, gone(record.agent_id))  # unless it is over
            run.stop()
            record.leave_own_turn(response)
            record.leave_turn(response)
            await run.halted()

    async def _cancel_own(self, record: AgentState, response: Response) -> None:
        try:
            record.gate.shut()
            with contextlib.suppress(AgyError):
                await record.session.cancel_own_turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_GRACE_S):
                    await response.wait()
        finally:
            response.finish(TurnState.CANCELLED, error=TurnCancelledError(response.partial_text))

    def _forget(self, record: AgentState, response: Response, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not response.done:  # cancelled before its first step
            _fail(response, gone(record.agent_id))
        record.leave_turn(response)

    async def _run(self, record: AgentState, response: Response) -> None:
        owner.set(record)
        try:
            async with record.turn:
                if await self._pace(record, response):
                    with self._busy():
                        await self._try(record, response)
        except AgyError as error:
            _fail(response, error)
        except asyncio.CancelledError:
            _fail(response, gone(record.agent_id))
            raise
        except Exception as error:  # noqa: BLE001 - a turn always ends with one of our errors
            _fail(response, BackendError(f"the turn failed: {type(error).__name__}: {error}"))
        finally:
            record.leave_turn(response)

    async def _pace(self, record: AgentState, response: Response) -> bool:
        """Leave the pause between this start and the one before."""
        if not self._config.chat_pause or response.done or record.clock.may_skip():
            return not response.done
        return await self._pause.wait(response)

    async def _try(self, record: AgentState, response: Response) -> None:
        if record.cost_of is not None and (spent := session_spent(self._config, record.spending)):
            raise spent
        state = self._quota.state(record.session.quota_key)
        run = _Run(self._config, state, record, response, record.session.cancel)
        try:
            for attempt in itertools.count():
                may_retry = attempt < self._config.max_quota_retries
                if (attempt or may_retry) and not await self._throttle(state, record, response):
                    return
                while record.own_turn is not None and not response.done:
                    await _first_to_end(record.own_turn, response)
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

    async def _throttle(self, state: QuotaState, record: AgentState, response: Response) -> bool:
        """Wait until the key is free, however often others hit its limit meanwhile."""
        while (seconds := state.wait_s()) and not record.clock.may_skip():
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

    async def _cancel(self, record: AgentState, response: Response) -> None:
        try:
            if record.current is response:
                record.gate.shut()
                with contextlib.suppress(AgyError):
                    await record.session.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CANCEL_GRACE_S):
                        await response.over.wait()
        finally:
            response.finish(TurnState.CANCELLED, error=TurnCancelledError(response.partial_text))

    async def close(self) -> None:
        """Cancel every turn and wait until it is over, `exit_timeout` seconds at the most."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.exit_timeout)


class _Run:
    """One turn, from its first try on: what ends it before the model does.

    Attributes:
        may_retry: Whether the turn is tried again should this try hit the quota.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        quota: QuotaState,
        record: AgentState,
        response: Response,
        halt: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.may_retry = False
        self._config = config
        self._quota = quota
        self._record = record
        self._response = response
        self._halt = halt
        self._budget = TurnBudget(config, record.spending, record.cost_of)
        self._silence: SilenceWatch | None = None
        self._cancelling: list[asyncio.Task[None]] = []
        self._ended_by: AgyError | None = None
        self._failed: Error | None = None  # this try's error step, while nothing came after it
        self._sending = False
        self._hit_counted = False
        self._hits_seen = quota.recorded
        limit = config.max_turn_duration
        self._duration = (
            DurationWatch(limit, lambda: self._end(turn_too_long(limit)), record.clock)
            if limit is not None
            else None
        )

    def stop(self) -> None:
        """Watch no longer."""
        self._sending = False
        for watch in (self._silence, self._duration):
            if watch is not None:
                watch.stop()

    def watch(self, begin: Begin) -> None:
        """Have the turn's events watched from now on.

        Args:
            begin: Leads the events to the turn.
        """
        self._silence = SilenceWatch(
            self._config.chat_timeout, self._on_silence, self._record.clock
        )
        watches = (self._silence, self._duration) if self._duration else (self._silence,)
        begin(self._response, watches, self._see)
        self._response.emit(State(state=TurnState.RUNNING, at=now()))
        self._sending = True

    async def halted(self) -> None:
        """Wait until the backend has taken the wish to end the turn, if there was one."""
        await asyncio.gather(*self._cancelling, return_exceptions=True)

    async def attempt(self) -> None:
        """Send the prompt once and stay until the turn is over.

        Raises:
            AgyError: What it failed with.
        """
        record, response = self._record, self._response
        self._ended_by, self._failed = None, None
        self._hit_counted, self._hits_seen = False, self._quota.recorded
        self.watch(record.begin)
        try:
            outcome = await record.session.run_turn(response.prompt)
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
            record.end()
            await self.halted()

    def count_hit(self, error: QuotaExceededError) -> None:
        """Record what the try failed with, unless it is the hit of its latest error step."""
        if not self._hit_counted:
            self._quota.record_hit(error.retry_after if error.hinted else None)
            self._hits_seen = self._quota.recorded
        self._hit_counted = True

    def _see(self, event: Event) -> None:
        """Look at an event of the turn before anybody else acts on it."""
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
        """End the turn with the error that the silence came after, or for the silence itself."""
        limit = self._config.chat_timeout
        timeout = AgyTimeoutError(
            limit,
            "chat",
            hint="raise RuntimeConfig(chat_timeout=...) or AGI_CHAT_TIMEOUT_SECS; what had come is "
            "in response.partial_text",
        )
        if (failed := self._failed) is None:
            self._end(timeout)
            return
        error = to_error(failed.error)
        words = (
            f"{failed.error.message}. After that nothing came for {limit:g} s "
            "(RuntimeConfig(chat_timeout=...)), so the turn was ended"
        )
        error.args = (words,)
        error.__cause__ = timeout
        self._end(error)

    def _end(self, error: AgyError) -> None:
        """End the turn with an error, unless it is to be tried again after it."""
        if self._ended_by is not None or self._response.done:
            return
        self._ended_by = error
        again = isinstance(error, QuotaExceededError) and self.may_retry
        if not again or _has_begun(self._response):
            _fail(self._response, error)
        if self._sending:
            self._record.gate.shut()
            self._cancelling.append(asyncio.create_task(self._halt()))


def _fail(response: Response, error: AgyError) -> None:
    if not response.done:
        response.emit(Error(error=to_info(error), fatal=True, at=now()))
        denied = isinstance(error, TurnDeniedError)
        response.finish(TurnState.DENIED if denied else TurnState.FAILED, error=error)


def _has_begun(response: Response) -> bool:
    """Whether sending the prompt again would say something twice, or run a tool twice."""
    return any(isinstance(event, Text | ToolCall) for event in response.events)


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
    """Wait, unless the response is finished first; tell whether it still is to be done."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await response.over.wait()
    return not response.done
