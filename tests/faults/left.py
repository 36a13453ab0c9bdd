"""What a runtime leaves behind: processes, tasks, threads, open files."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 10.0


async def until(what: Callable[[], bool], limit: float = PATIENCE_S) -> bool:
    """Wait until something holds; tell whether it came to."""
    deadline = time.monotonic() + limit
    while not what():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def group_members(leaders: set[int]) -> list[int]:
    """The processes that live in the process groups of these leaders."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat[2]) in leaders and stat[0] != "Z":
            found.append(int(entry.name))
    return found


def open_files() -> dict[str, str]:
    """The files, pipes and sockets that this process holds open."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = os.readlink(entry)  # noqa: PTH115 - a socket is no path
        except OSError:
            continue
    return {number: name for number, name in found.items() if "/proc/" not in name}


def is_pooled(thread: threading.Thread) -> bool:
    """Whether a thread waits for its next use."""
    return thread.name.startswith(("asyncio_", "agy_nb"))


class Inventory:
    """What was there before, to tell what is left.

    Attributes:
        leaders: The harnesses that were started since.
    """

    def __init__(self) -> None:
        self.leaders: set[int] = set()
        self._tasks = asyncio.all_tasks()
        self._threads = set(threading.enumerate())
        self._files = set(open_files().values())

    async def left(self) -> str:
        """What is left, once everything had time to go; empty: nothing."""
        await until(lambda: not self._now())
        return "; ".join(self._now())

    def _now(self) -> list[str]:
        tasks = [task for task in asyncio.all_tasks() - self._tasks if not task.done()]
        threads = [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads and not is_pooled(thread)
        ]
        files = [name for name in open_files().values() if name not in self._files]
        kinds = {
            "processes": group_members(self.leaders),
            "tasks": [task.get_coro().__qualname__ for task in tasks],
            "threads": [thread.name for thread in threads],
            "files": files,
        }
        return [f"{kind}: {what}" for kind, what in kinds.items() if what]
