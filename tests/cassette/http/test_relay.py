"""The process that makes a recording's requests: it starts once, and it always ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agy_nb.cassette.http.relay import Relay

pytestmark = pytest.mark.blocking_allowed  # processes are started, and a thread is waited for


@pytest.mark.parametrize("steps", range(6))
def test_relay_that_is_closed_while_it_starts_ends(steps):
    """As in a recording that is over at once: its loop is that of a thread."""

    async def start_and_close() -> None:
        relay = Relay()
        starting = asyncio.create_task(relay.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        await relay.close()
        del starting

    thread = threading.Thread(target=lambda: asyncio.run(start_and_close()), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()


async def test_two_requests_at_once_start_one_process():
    relay = Relay()
    await asyncio.gather(relay.start(), relay.start())
    first = relay._process
    await relay.start()
    assert relay._process is first
    await relay.close()
