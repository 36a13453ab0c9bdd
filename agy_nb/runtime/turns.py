"""One turn: queued, paced, sent, watched, tried again after a quota error, finished.

Rule 1: a turn is a task beside the loop; nothing here makes a command wait.
Rule 2: a turn always finishes its response, whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager

from agy_nb.errors import (
    AgyError,
    BackendError,
    QuotaExceeded,
    Timeout,
    TurnCancelled,
    TurnDeniedError,
)
from agy_nb.protocol.events import Error, State, Text, ToolCall, TurnState
from agy_nb.protocol.failures import to_info
from agy_nb.runtime.agents import AgentRecord, gone
from agy_nb.runtime.config import RuntimeConfig
from agy_nb.runtime.quota import QuotaRegistry
from agy_nb.runtime.response import Response
from agy_nb.runtime.watch import SilenceWatch
from agy_nb.sdk.base import now

CANCEL_GRACE_S = 0.5
"""Seconds a cancelled turn gets to end by itself before its response ends without it."""

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
        self._next_start = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, record: AgentRecord, response: Response) -> None:
        """Queue a turn behind those that the agent has already."""
        response.on_cancel(lambda: self._cancel(record, response))
        task = asyncio.create_task(
            self._run(record, response), name=f"agy_nb turn {response.turn_id}"
        )
        record.enter_turn(response, task)
        self._tasks.add(task)
        task.add_done_callback(lambda _task: self._forget(record, response, _task))

    def _forget(self, record: AgentRecord, response: Response, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not response.done:  # cancelled before its first step
            _fail(response, gone(record.agent_id))
        record.leave_turn(response)

    async def _run(self, record: AgentRecord, response: Response) -> None:
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

    async def _pace(self, record: AgentRecord, response: Response) -> bool:
        """Leave the pause between this start and the one before."""
        if response.done or record.clock.may_skip():
            return not response.done
        moment = asyncio.get_running_loop().time()
        start = max(moment, self._next_start)
        self._next_start = start + self._config.chat_pause
        return await _sleep(start - moment, response)

    async def _try(self, record: AgentRecord, response: Response) -> None:
        key = record.session.api_key
        for attempt in itertools.count():
            if not await self._throttle(key, record, response):
                return
            try:
                if await self._attempt(record, response):
                    self._quota.state(key).record_success()
            except QuotaExceeded as error:
                self._quota.state(key).record_hit(error.retry_after if error.hinted else None)
                if attempt >= self._config.max_quota_retries or _has_begun(response):
                    raise
            else:
                return

    async def _throttle(self, key: str, record: AgentRecord, response: Response) -> bool:
        """Wait until the key is free, however often others hit its limit meanwhile."""
        while (seconds := self._quota.state(key).wait_s()) and not record.clock.may_skip():
            if not await _sleep(seconds, response):
                return False
        return not response.done

    async def _attempt(self, record: AgentRecord, response: Response) -> bool:
        """Send the prompt once; tell whether the model's calls succeeded."""
        session = record.session
        limit = self._config.chat_timeout
        cancelling: list[asyncio.Task[None]] = []

        def on_silence() -> None:
            _fail(
                response,
                Timeout(
                    limit,
                    "chat",
                    hint="raise RuntimeConfig(chat_timeout=...) or "
                    "AGI_CHAT_TIMEOUT_SECS; what had come is in response.partial_text"
                    + _last_words(response),
                ),
            )
            record.gate.shut()
            cancelling.append(asyncio.create_task(session.cancel()))

        watch = SilenceWatch(limit, on_silence, record.clock)
        record.begin(response, watch)
        response.emit(State(state=TurnState.RUNNING, at=now()))
        try:
            outcome = await session.run_turn(response.prompt)
        except TurnCancelled:
            response.finish(TurnState.CANCELLED, error=TurnCancelled(response.partial_text))
            return False
        else:
            response.finish(
                TurnState.DONE,
                stop_reason=outcome.stop_reason,
                structured_output=outcome.structured_output,
            )
            return True
        finally:
            watch.stop()
            record.end()
            await asyncio.gather(*cancelling, return_exceptions=True)

    async def _cancel(self, record: AgentRecord, response: Response) -> None:
        try:
            if record.current is response:
                record.gate.shut()
                with contextlib.suppress(AgyError):
                    await record.session.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CANCEL_GRACE_S):
                        await response.wait()
        finally:
            response.finish(TurnState.CANCELLED, error=TurnCancelled(response.partial_text))

    async def close(self) -> None:
        """Cancel every turn and wait until it is over, `exit_timeout` seconds at the most."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.exit_timeout)


def _fail(response: Response, error: AgyError) -> None:
    if not response.done:
        response.emit(Error(error=to_info(error), fatal=True, at=now()))
        denied = isinstance(error, TurnDeniedError)
        response.finish(TurnState.DENIED if denied else TurnState.FAILED, error=error)


def _last_words(response: Response) -> str:
    """What the model's latest error was, if it has said nothing since."""
    events = (event for event in reversed(response.events) if isinstance(event, Error | Text))
    latest = next(events, None)
    return f". The latest error: {latest.error.message}" if isinstance(latest, Error) else ""


def _has_begun(response: Response) -> bool:
    """Whether sending the prompt again would say something twice, or run a tool twice."""
    return any(isinstance(event, Text | ToolCall) for event in response.events)


async def _sleep(seconds: float, response: Response) -> bool:
    """Wait, unless the response is finished first; tell whether it still is to be done."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await response.wait()
    return not response.done
