"""A thread that writes items of a queue, so that the event loop only pays for the queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class WriteThread(Generic[T]):
    """Runs one function over all items of a queue, in a daemon thread.

    After the function has failed, items are still taken and thrown away: a session continues
    although its recording does not.

    Args:
        name: Of the thread.
        write: Writes all items; it runs in the thread and ends when the items do.

    Attributes:
        failure: What `write` raised, None while all is well.

    Example:
        >>> found = []
        >>> thread = WriteThread("example", found.extend)
        >>> thread.put(1)
        >>> thread.close()
        >>> found
        [1]
    """

    def __init__(self, name: str, write: Callable[[Iterator[T]], None]) -> None:
        self.failure: Exception | None = None
        self._write = write
        self._queue: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item. Never blocks, never raises."""
        self._queue.put((item,))

    def close(self) -> None:
        """Write the items that are left and end the thread. Blocks; not for the event loop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        items = self._items()
        try:
            self._write(items)
        except Exception as error:
            self.failure = error
        for _ in items:  # a failure leaves some
            pass

    def _items(self) -> Iterator[T]:
        while (item := self._queue.get()) is not None:
            yield item[0]
