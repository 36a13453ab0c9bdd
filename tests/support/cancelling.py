"""Cancel a task while it waits for the n-th time, so that a test can try every place."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


class CancelledAt:
    """Await a coroutine, and cancel the running task at some of its waits.

    Args:
        work: The coroutine.
        waits: Numbers of the waits, from 1.

    Attributes:
        seen: How often the coroutine has waited.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], *waits: int) -> None:
        self._work = work
        self._at = waits
        self.seen = 0

    @property
    def reached(self) -> bool:
        """Whether all of the waits came."""
        return self.seen >= max(self._at)

    def __await__(self) -> Generator[Any, None, Any]:
        inner = self._work.__await__()
        step: Any = partial(inner.send, None)
        while True:
            try:
                waiting = step()
            except StopIteration as done:
                return done.value
            self.seen += 1
            if self.seen in self._at:
                task = asyncio.current_task()
                assert task is not None
                asyncio.get_running_loop().call_soon(task.cancel)
            try:
                yield waiting
                step = partial(inner.send, None)
            except BaseException as error:
                step = partial(inner.throw, error)


async def run(work: CancelledAt) -> None:
    """Run it in a task of its own; a cancelled one has ended when this returns."""

    async def in_task() -> None:
        await work

    task = asyncio.get_running_loop().create_task(in_task())
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
