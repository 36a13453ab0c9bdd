"""Turns that the harness begins: for a trigger, a timer, or a subagent that finishes late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from google.antigravity import types

from agy_nb.errors import AgyError, TurnCancelledError
from agy_nb.protocol.error_codec import to_info
from agy_nb.protocol.events import Error, State, TurnState
from agy_nb.sdk.connection import HarnessConnection
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.interfaces.open_session import Sink


@dataclass(slots=True)
class OwnTurns:
    """Reads such turns, so that none of their frames reaches the turn of the next prompt.

    Args:
        lock: Held by the turn that runs.
        harness: Returns the present harness.
        under_way: Returns a context manager that is active while a turn runs.
        sink: Receives the final events of the turns.

    Attributes:
        task: Reads the turn that runs, or waits for the prompt's turn before it; None for none.
    """

    _lock: asyncio.Lock
    _harness: Callable[[], HarnessConnection]
    _under_way: Callable[[], AbstractContextManager[None]]
    _sink: Sink
    task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Read the turn that has begun."""
        self.task = asyncio.get_running_loop().create_task(self._read())

    async def over(self) -> None:
        """Wait until no such turn runs."""
        while self.task is not None:
            await asyncio.wait([self.task])

    async def _read(self) -> None:
        """Read a turn that the harness began, and emit its final events."""
        state, error = TurnState.DONE, None
        try:
            async with self._lock:
                with self._under_way():
                    await _read_turn(self._harness())
        except TurnCancelledError:
            state = TurnState.CANCELLED
        except AgyError as failed:
            state, error = TurnState.FAILED, failed
        finally:
            # Before the last events: who gets them may send the next prompt, which waits while
            # there is a task.
            self.task = None
        if error is not None:
            self._sink(Error(error=to_info(error), fatal=True, at=now()))
        self._sink(State(state=state, at=now()))


async def _read_turn(harness: HarnessConnection) -> None:
    raised: Exception | None = None
    await harness.wait_until_busy()
    try:
        await harness.read()
    except types.AntigravityCancelledError as error:
        raise TurnCancelledError("") from error
    except Exception as error:
        raised = harness.divergence or error
    harness.must_have_succeeded(raised)
