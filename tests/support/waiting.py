"""Wait for a state that has no event."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until something holds, at most 20 seconds.

    What does not hold after many rounds waits for a process or a thread: leave it the processor.
    """
    async with asyncio.timeout(20):
        for round_ in itertools.count():
            if condition():
                return
            await asyncio.sleep(0 if round_ < 500 else 0.002)
