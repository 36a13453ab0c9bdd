"""One turn against its limits: send the prompt, watch the events, end the turn at a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from agy_nb.errors import (
    AgyError,
    AgyTimeoutError,
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
)
from agy_nb.runtime.agent_state import AgentState
from agy_nb.runtime.limits.budgets import TurnBudget, turn_too_long
from agy_nb.runtime.limits.idle_timeout import DurationWatch, SilenceWatch, Watch
from agy_nb.runtime.limits.quota import QuotaState
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.runtime.turns.response import Response
from agy_nb.sdk.interfaces.agent_clock import now

Begin = Callable[[Response, Sequence[Watch], Callable[[Event], None]], None]
"""Sends events to a turn, its watches and its observer."""


class TurnAttempts:
    """The attempts of one turn, and the limits that can end it.

    Args:
        config: The runtime's limits.
        quota: The state of the model's quota.
        state: The agent.
        response: The turn.
        halt: Asks the backend to end the turn.

    Attributes:
        may_retry: Whether the turn is tried again if the current attempt exceeds the quota.
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
        self.began: bool = False
        self._config = config
        self._quota = quota
        self._state = state
        self._response = response
        self._halt = halt
        self._budget = TurnBudget(config, state.spending, state.cost_of)
        self._silence: SilenceWatch | None = None
        self._cancelling: list[asyncio.Task[None]] = []
        self._ended_by: AgyError | None = None
        self._failed: Error | None = None  # the last error step, unless the model went on
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
            AgyError: The attempt failed.
        """
        state, response = self._state, self._response
        self._ended_by, self._failed = None, None
        self._hit_counted, self._hits_seen = False, self._quota.recorded
        self.watch(state.begin)
        try:
            outcome = await state.session.run_turn(response.prompt)
        except TurnCancelledError:
            if self._ended_by is not None:
                # The backend reports every halt as a cancellation. This one was asked for by a
                # limit.
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
            # A request to halt that is still on its way would end the turn of the next prompt.
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
        """End the turn with an error, or only this attempt if the turn may be tried again."""
        if self._ended_by is not None or self._response.done:
            return
        self._ended_by = error
        again = isinstance(error, QuotaExceededError) and self.may_retry
        if not again or has_begun(self._response):
            fail(self._response, error)
        if self._sending:
            self._state.gate.shut()
            self._cancelling.append(asyncio.create_task(self._halt()))


def fail(response: Response, error: AgyError) -> None:
    """End a turn with an error, unless it is over."""
    if not response.done:
        response.emit(Error(error=to_info(error), fatal=True, at=now()))
        denied = isinstance(error, TurnDeniedError)
        response.finish(TurnState.DENIED if denied else TurnState.FAILED, error=error)


def has_begun(response: Response) -> bool:
    """Return whether another attempt would repeat text or a tool call."""
    return any(isinstance(event, Text | ToolCall) for event in response.event_log)
