"""How long the event loop stands still."""

import asyncio
import time


class Stalls:
    """Takes note of the longest pause between two turns of the loop.

    Args:
        every_s: Seconds from one look at the clock to the next.
    """

    def __init__(self, every_s: float = 0.001) -> None:
        self._every_s = every_s

    async def __aenter__(self):
        self.longest = 0.0
        self._task = asyncio.create_task(self._tick())
        return self

    async def _tick(self):
        last = time.perf_counter()
        while True:
            await asyncio.sleep(self._every_s)
            moment = time.perf_counter()
            self.longest = max(self.longest, moment - last)
            last = moment

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])
