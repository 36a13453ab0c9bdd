"""How a harness is started: off the event loop, and with room for a cassette in between.

The SDK blocks the loop while the harness starts (it reads a pipe) and while it stops (it waits for
the process, up to three minutes). Here the SDK believes that it has started a process; the real one
is started in a thread when the SDK connects to it, and the wait for the exit is ours.

Rule: when a start fails, a process that came up is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from agy_nb.errors import HarnessError
from agy_nb.protocol.events import Event
from agy_nb.sdk.interfaces.harness_socket import Listen, ReplaySocket, Socket
from agy_nb.sdk.process import interceptor, temporary_folders
from agy_nb.sdk.process.executor import run_in_thread
from agy_nb.sdk.process.harness_process import HarnessProcess
from agy_nb.sdk.process.refused_harness import PATH_VARIABLE
from agy_nb.wire.summaries.beginning import Beginning

if TYPE_CHECKING:
    from agy_nb.sdk.patches.deferred_process import DeferredProcess

_HOSTS = ("127.0.0.1", "localhost")
"""An address first: a name is looked up in one of the loop's threads, and tools may block them."""
_RETRIES = 5
_RETRY_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Connected:
    """What a start gives to the SDK.

    Attributes:
        process: The process, as `subprocess.Popen` has it; one of a replay starts nothing.
        socket: The WebSocket to it.
        replay: The replay that plays it; None for a real harness.
    """

    process: Any
    socket: Socket
    replay: ReplaySocket | None = None


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How the harnesses of one agent are started.

    Attributes:
        listen: Gets each socket, wherever it leads to, and gives the one to use.
        any_model: Whether the user named no model, so that any that a recording has is as good.
        on_echo_model: Whether the echo model answers, because there is no key.
        begins: Where the conversation begins; None where it is not known.
    """

    listen: Listen | None = None
    any_model: bool = False
    on_echo_model: bool = False
    begins: Beginning | None = None


Route: TypeAlias = Callable[[Any, int], Awaitable[int]]
"""Takes the process and the port that it listens on; gives the port to connect to."""

WrapSocket: TypeAlias = Callable[[Socket, ReplaySocket | None], Socket]
"""Takes the socket of a start, and the replay that plays it; gives the one that the SDK gets."""


class RecordedResults(Protocol):
    """The recorded results of an agent's host tools, by the id of the call."""

    def result(self, call_id: str) -> Mapping[str, Any]:
        """Return the recorded `ToolResponse`, empty if there is none."""
        ...

    def raised(self, call_id: str) -> Event | None:
        """Return the recorded `ToolException`, None if the tool raised nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Follower:
    """An agent of our runtime, for which a harness is started.

    Attributes:
        options: How it is started.
        harness: Keeps hold of the process.
        wrap: Wraps its socket.
    """

    options: StartOptions
    harness: HarnessProcess
    wrap: WrapSocket


class HarnessStart:
    """One start of a harness, of our runtime or of code that uses the SDK's `Agent` directly.

    Args:
        strategy: The SDK's strategy, for its identity and its folder only.
        follower: The agent of our runtime, None where the SDK is used directly.

    Attributes:
        strategy: The SDK's strategy, for its identity and its folder only.
        process: The process, as the SDK sees it; None until it asks for one.
        invalid: Why the SDK would refuse to start a real harness.
        connected: Whether the SDK has got its socket.
    """

    is_outside = False
    """Whether the program started the harness by itself, without a strategy of the SDK."""

    def __init__(self, strategy: object = None, follower: Follower | None = None) -> None:
        self.strategy = strategy
        self.process: DeferredProcess | None = None
        self.invalid: Exception | None = None
        self.connected: bool = False
        self._follower = follower or Follower(
            StartOptions(), HarnessProcess(), lambda socket, _: socket
        )
        self._open: Callable[[str, str], Awaitable[Socket]] | None = None
        self._replay: ReplaySocket | None = None

    def ask_for(self, process: DeferredProcess) -> None:
        """Let the SDK take this process for one that it has started."""
        self.process = process
        self._follower.harness.asked_for(process)

    @property
    def binary_path(self) -> str:
        """The harness binary that the SDK has found."""
        return "" if self.process is None else self.process.binary_path

    @property
    def any_model(self) -> bool:
        """Whether the user named no model."""
        return self._follower.options.any_model

    @property
    def on_echo_model(self) -> bool:
        """Whether the echo model answers, because there is no key."""
        return self._follower.options.on_echo_model

    @property
    def begins(self) -> Beginning | None:
        """Where the conversation begins: at its first turn, or after a fork or rewind."""
        return self._follower.options.begins

    def forget_new_folder(self) -> None:
        """Remove the folder that the SDK has made for a conversation which nothing will save."""
        temporary_folders.remove_sdks_folder(
            None if self.process is None else self.process.save_dir
        )

    def read_through(self, is_read: Callable[[], bool]) -> None:
        """Set how a replay finds out whether the client has read all steps."""
        if self._replay is not None:
            self._replay.read_through(is_read)

    def needs_no_key(self) -> None:
        """Let a harness start that has no key, as it is not asked for one."""
        self.invalid = None

    def use_recorded_results(self, results: RecordedResults) -> None:
        """Run none of the agent's host tools: take their results from a recording."""
        recorded_results.set(results)

    async def spawn(self, route: Route | None = None) -> Connected:
        """Start the real harness.

        Args:
            route: Leads the connection through something else.

        Raises:
            HarnessError: It does not start.
            AntigravityValidationError: The SDK refuses the configuration.
        """
        if self.invalid is not None:
            raise self.invalid
        harness, process = self._follower.harness, self.process
        assert process is not None
        try:
            address = await run_in_thread(process.start, harness.attach)
            port = address.port if route is None else await route(process, address.port)
            socket = await self._connect(port, address.api_key)
            harness.connected(socket)
        except BaseException as error:
            harness.kill()
            if isinstance(error, Exception):
                raise _start_failure(self.binary_path, error) from error
            raise
        return Connected(process, socket)

    async def _connect(self, port: int, key: str) -> Socket:
        assert self._open is not None
        for attempt in range(_RETRIES):
            for host in _HOSTS:
                with contextlib.suppress(OSError, EOFError):
                    return await self._open(f"ws://{host}:{port}/", key)
            await asyncio.sleep(_RETRY_PAUSE_S * 2**attempt)
        raise HarnessError(
            f"the harness reported port {port}, but nothing answers there. Check that "
            "ANTIGRAVITY_HARNESS_PATH, if it is set, names a harness"
        )

    async def answer(self, open_socket: Callable[[str, str], Awaitable[Socket]]) -> Socket:
        """Give the SDK the socket that it asks for.

        Args:
            open_socket: Opens a real one, for a URL and an API key, as the SDK would.

        Raises:
            StartFailedError: There is none.
        """
        self._open = open_socket
        follower, process = self._follower, self.process
        assert process is not None
        try:
            found = await interceptor.intercept(self)
        except Exception as error:
            follower.harness.kill()
            raise StartFailedError(error) from error
        if found.process is not process:
            process.become(found.process)
        listen, socket = follower.options.listen, found.socket
        if listen is not None:
            socket = listen(self, socket)
        self.connected, self._replay = True, found.replay
        return follower.wrap(socket, found.replay)


class StartFailedError(Exception):
    """Carries the failure of a start out of the SDK, which would try again after some errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


current: ContextVar[HarnessStart | None] = ContextVar("agy_nb_harness_start", default=None)
"""The start that the running task is at."""
_follower: ContextVar[Follower | None] = ContextVar("agy_nb_follower", default=None)
recorded_results: ContextVar[RecordedResults | None] = ContextVar("agy_nb_results", default=None)
"""Where the host tools of the running task's agent have their results from; None to run them."""
_numbers = itertools.count(1)
_started = 0


def begin(strategy: object = None) -> HarnessStart:
    """Begin a start of a harness in the running task."""
    global _started  # noqa: PLW0603 - of the process, as the interceptor
    _started = next(_numbers)
    start = HarnessStart(strategy, _follower.get())
    _follower.set(None)
    current.set(start)
    recorded_results.set(None)
    return start


def count() -> int:
    """Return the number of starts so far."""
    return _started


def end(before: HarnessStart | None) -> None:
    """Leave the running task as it was before a start; tasks that the start created keep it."""
    current.set(before)
    recorded_results.set(None)


def follow(follower: Follower) -> None:
    """Have the running task's next start belong to this agent."""
    _follower.set(follower)


def _start_failure(path: str, error: Exception) -> HarnessError:
    return HarnessError(
        f"the harness {path} did not start: {str(error) or type(error).__name__}. "
        f"Run `agy-nb doctor`. If {PATH_VARIABLE} is set, check that it names the real binary"
    )
