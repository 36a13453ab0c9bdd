"""When a trigger's turn begins, and what becomes of a trigger that fails."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from google.antigravity.connections.local.event_processor import IDLE_SENTINEL

from agy_nb.sdk.patches.user_code.guard import contained_wait, words_of

_log = logging.getLogger("agy_nb.runtime")


def begin_turns_when_sent(connection: Any, processor: Any, on_activity: Callable[[], None]) -> None:
    """Begin a trigger's turn when it is sent, not at the harness's first message.

    Args:
        connection: The SDK's.
        processor: Its event processor.
        on_activity: Called for each trigger that is sent.
    """
    send = connection.send_trigger_notification

    async def send_and_begin(content: str) -> None:
        # Busy before `send`, which can wait while the harness already answers: reading from an idle
        # connection ends at once, and the frames would belong to no turn.
        was_idle = processor.is_idle.is_set()
        processor.is_idle.clear()
        on_activity()
        try:
            await send(content)
        except BaseException:
            if was_idle:
                processor.is_idle.set()
                # Wakes the reader that `on_activity` has started, so that it sees that the
                # connection is idle.
                await processor.step_queue.put(IDLE_SENTINEL)
            raise

    connection.send_trigger_notification = send_and_begin


def reported(trigger: Any) -> Callable[[Any], Awaitable[None]]:
    """Return a trigger that logs its failure: nothing awaits it, and the SDK is silent."""
    if not callable(trigger):
        msg = f"a trigger must be a function, got {trigger!r}"
        raise TypeError(msg)
    name = getattr(trigger, "__name__", repr(trigger))

    async def run(context: Any) -> None:
        try:
            await contained_wait(trigger(context))
        except Exception as error:
            _log.warning("trigger %s failed and is called no more: %s", name, words_of(error))
            raise

    run.__name__ = name
    return run
