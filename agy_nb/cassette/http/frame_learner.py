"""Learn the secrets of a session's frames while `seam="model"` replays its requests.

A recording learns from frames which values are secret, and redacts them in the requests as well. A
replay must learn the same values, or its requests would differ from the recorded ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.storage.format import Direction, Frame, parse_frame
from agy_nb.cassette.storage.write_thread import WriteThread

_LONGEST_WAIT_S = 10.0


class FrameLearner:
    """Pass frames to a redactor in a thread of its own; a `FrameSink`.

    Args:
        redactor: Learns the secrets.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._thread = WriteThread("cassette learner", self._run)

    def put(
        self, session: int, direction: Direction, at: float, message: str | bytes | Frame
    ) -> None:
        """Take a frame. Never blocks, never raises."""
        del session, at
        if direction in ("client", "harness"):
            self._thread.put(lambda: self._learn(message))

    def wait(self) -> None:
        """Wait until all frames up to now are known. Blocks."""
        known = threading.Event()
        self._thread.put(known.set)
        known.wait(_LONGEST_WAIT_S)

    def close(self) -> None:
        """End the thread. Blocks shortly."""
        self._thread.close()

    def _learn(self, message: str | bytes | Frame) -> None:
        self._redactor.frame(message if isinstance(message, dict) else parse_frame(message))

    @staticmethod
    def _run(tasks: Iterator[Callable[[], object]]) -> None:
        for task in tasks:
            task()
