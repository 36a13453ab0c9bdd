"""Replace the harness's process by an object that starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class FakeProcess:
    """Replace the harness's `Popen` object. It starts nothing and exits with code 0.

    Args:
        stderr: Returns what there is to read from its stderr.
    """

    def __init__(self, stderr: Callable[[], str] = str) -> None:
        self.stdin: _Pipe = _Pipe()
        self.stdout: _Pipe = _Pipe()
        self.stderr: _Pipe = _Pipe(stderr)
        self.pid = 0
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None before the exit."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Exit at once."""
        del timeout
        self.returncode = 0
        return 0

    def kill(self) -> None:
        """Exit at once."""
        self.returncode = 0

    terminate = kill

    def send_signal(self, number: int) -> None:
        """Exit at once."""
        del number
        self.kill()


class _Pipe:
    """A pipe with a text in it, or with nothing."""

    closed: bool = False

    def __init__(self, text: Callable[[], str] = str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read().splitlines(keepends=True))

    def read(self, size: int = -1) -> bytes:
        """Return the text."""
        del size
        return self._text().encode()

    def write(self, data: bytes) -> int:
        """Discard the data."""
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Mark the pipe as closed."""
        self.closed = True
