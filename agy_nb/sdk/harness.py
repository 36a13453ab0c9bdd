"""The harness process: started and stopped off the event loop, in a process group of its own.

The SDK blocks the loop while the harness starts (it reads a pipe) and while it stops (it waits for
the process, up to three minutes). Here the SDK's own handshake runs in a thread, up to the point
where the WebSocket is needed, and the wait for the exit is ours.

Rule 1: whatever happens in a start, a process that came up is taken down again.
Rule 2: a harness is never in our process group, so that a kernel interrupt does not kill it.
Rule 3: `intercepted` is the only way for others (cassettes) to stand between SDK and harness; who
`follow`s a strategy may listen to its frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from agy_nb.errors import HarnessError
from agy_nb.sdk.base import Listen
from agy_nb.sdk.threads import off_loop

Connected: TypeAlias = tuple[Any, Any, str]
"""What the SDK expects of a start: process, WebSocket, URL."""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How the harnesses of one agent are started.

    Attributes:
        listen: Gets each socket, whoever it leads to, and gives the one to use.
        any_model: Whether the user named no model, so that any that a recording has is as good.
    """

    listen: Listen | None = None
    any_model: bool = False


Spawn: TypeAlias = Callable[[], Awaitable[Connected]]
Interceptor: TypeAlias = Callable[[Any, Spawn], Awaitable[Connected]]
"""Takes the SDK's strategy and the real start; gives a connection of its own making."""

PATH_VARIABLE = "ANTIGRAVITY_HARNESS_PATH"
"""The SDK's variable for another harness binary."""

EXIT_GRACE_S = 5.0
"""Seconds a harness gets to exit by itself once its stdin is closed."""

_interceptor: Interceptor | None = None
_model_needed: Callable[[], Awaitable[bool]] | None = None
_births = threading.local()


class Harness:
    """The process behind one agent, from before its birth until after its death."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Any = None
        self._doomed = False

    def born(self, process: subprocess.Popen[bytes]) -> None:
        """Take note of the process. In the thread of the start.

        Raises:
            HarnessError: Nobody wants it any more; it was ended at once.
        """
        self._process = process
        if self._doomed:
            process.kill()
            _reap(process, 0)
            raise HarnessError("its start was cancelled")

    def connected(self, socket: Any) -> None:
        """Take note of the WebSocket to the process."""
        self._socket = socket

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return self._process.pid if self._process else None

    @property
    def exited(self) -> bool:
        """Whether there was a process and it has ended. Never blocks."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """End the process, and whatever it started, at once. Never blocks."""
        self._doomed = True
        self._hang_up()
        if self._process is not None:
            _kill_group(self._process)

    async def stop(self, *, grace: float = EXIT_GRACE_S) -> int | None:
        """Let the process exit, or make it; blocks no loop.

        Args:
            grace: Seconds it gets to exit by itself.

        Returns:
            Its exit code (negative: the signal that ended it), None if it was never started.
        """
        process = self._process
        if process is None:
            return None
        code = await asyncio.shield(off_loop(_reap, process, grace))
        self._process = None
        self._hang_up()
        return code

    def _hang_up(self) -> None:
        """End the socket: the SDK gives one up that has much left to be read, or no other end."""
        transport = getattr(self._socket, "transport", None)
        if transport is not None:
            transport.abort()
        self._socket = None


def _reap(process: subprocess.Popen[bytes], grace: float) -> int | None:
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        process.wait()
    _kill_group(process)
    for pipe in (process.stdout, process.stderr):
        if pipe and not pipe.closed:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
    return process.returncode


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        subprocess.Popen.kill(process)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class _LedGroup(subprocess.Popen[bytes]):
    """Takes what it started along when it is killed.

    The SDK kills a harness that does not connect and then reads its stderr on the loop, to the end:
    a child that holds the pipe open would block the loop for as long as it lives.
    """

    def kill(self) -> None:
        _kill_group(self)


class _SubprocessForSdk:
    """Stands in for the module `subprocess` inside the SDK, to change how it spawns."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:  # noqa: N802 - its name there
        if sys.platform == "win32":
            kwargs.setdefault("creationflags", subprocess.CREATE_NEW_PROCESS_GROUP)
        else:
            kwargs.setdefault("start_new_session", True)
        process = _LedGroup(*args, **kwargs)
        harness: Harness | None = getattr(_births, "harness", None)
        if harness is not None:
            harness.born(process)
        return process


class _WebsocketsForSdk:
    """Stands in for the module `websockets` inside the SDK, to change where it looks first.

    The SDK tries `localhost`, then `127.0.0.1`. A name is looked up in one of the loop's threads,
    and where tools block all of those, that takes ten seconds to fail. An address needs no thread.
    """

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def connect(self, url: str, **kwargs: Any) -> Any:
        host, other = "//localhost:", "//127.0.0.1:"
        if host not in url:
            host, other = other, host
        return self._real.connect(url.replace(host, other, 1), **kwargs)


def install() -> None:
    """Have the SDK start every harness our way from now on; once is enough."""
    from google.antigravity.connections.local import local_connection

    if isinstance(local_connection.subprocess, _SubprocessForSdk):
        return
    local_connection.subprocess = _SubprocessForSdk()  # type: ignore[assignment]
    local_connection.websockets = _WebsocketsForSdk(local_connection.websockets)  # type: ignore[assignment]
    local_connection._get_default_binary_path = _found_once(  # type: ignore[assignment]
        local_connection._get_default_binary_path
    )
    strategy_type = local_connection.LocalConnectionStrategy
    handshake = strategy_type._spawn_harness_and_connect_ws

    async def connect(strategy: Any, **options: Any) -> Connected:
        async def spawn() -> Connected:
            invalid: Exception | None = getattr(strategy, "_agy_invalid", None)
            if invalid is not None:
                raise invalid
            return await _spawn_off_loop(strategy, lambda: handshake(strategy, **options))

        connected = await (_interceptor(strategy, spawn) if _interceptor else spawn())
        listen = options_of(strategy).listen
        if listen is None:
            return connected
        process, ws, url = connected
        return process, listen(strategy, ws), url

    strategy_type._spawn_harness_and_connect_ws = connect  # type: ignore[method-assign,assignment]
    strategy_type._validate_connection = _validated_when_needed(  # type: ignore[method-assign,assignment]
        strategy_type._validate_connection
    )


def _validated_when_needed(validate: Callable[[Any], None]) -> Callable[[Any], None]:
    """The SDK's look for a key, which whoever stands between may not need: a replay has no use."""

    def validate_now_or_later(strategy: Any) -> None:
        try:
            validate(strategy)
        except Exception as error:
            if _interceptor is None:
                raise
            strategy._agy_invalid = error

    return validate_now_or_later


def _found_once(find: Callable[[Any], str]) -> Callable[[Any], str]:
    """The SDK's search for its binary, made once: it reads the list of the package's files.

    Where there is no binary but somebody stands between, who may need none, that is no error yet.
    """
    found: dict[tuple[str, str], str] = {}

    def find_once(env: dict[str, str] | None) -> str:
        key = ((env or {}).get(PATH_VARIABLE, ""), os.environ.get(PATH_VARIABLE, ""))
        known = found.get(key)
        if known is not None and os.path.exists(known):  # noqa: PTH110 - as the SDK does; quick
            return known
        try:
            found[key] = find(env)
        except RuntimeError:
            if _interceptor is None:
                raise
            return "localharness"
        return found[key]

    return find_once


def follow(strategy: Any, options: StartOptions) -> Harness:
    """Keep hold of the harness that a strategy of the SDK is about to start.

    Args:
        strategy: The SDK's connection strategy, not yet entered.
        options: How it is started.
    """
    install()
    strategy._agy_options = options
    strategy._agy_harness = harness = Harness()
    return harness


def options_of(strategy: Any) -> StartOptions:
    """How the harness of a strategy is started; of one that is not ours nothing is known."""
    options: StartOptions = getattr(strategy, "_agy_options", StartOptions())
    return options


async def _spawn_off_loop(
    strategy: Any, handshake: Callable[[], Coroutine[Any, Any, Connected]]
) -> Connected:
    harness: Harness = getattr(strategy, "_agy_harness", None) or Harness()

    async def keep_address(port: int, api_key: str, process: Any) -> tuple[Any, str]:
        del process
        return (port, api_key), ""

    def in_thread() -> Connected:
        _births.harness = harness
        try:
            return _run_without_loop(handshake())
        finally:
            del _births.harness

    connect_websocket = strategy._connect_websocket
    strategy._connect_websocket = keep_address
    try:
        process, (port, api_key), _ = await off_loop(in_thread)
        del strategy._connect_websocket
        ws, url = await connect_websocket(port, api_key, process)
        harness.connected(ws)
    except BaseException as error:
        harness.kill()
        if isinstance(error, Exception):
            raise _start_failure(strategy, error) from error
        raise
    finally:
        strategy.__dict__.pop("_connect_websocket", None)
    return process, ws, url


def _start_failure(strategy: Any, error: Exception) -> HarnessError:
    path = getattr(strategy, "_binary_path", "localharness")
    return HarnessError(
        f"the harness {path} did not start: {str(error) or type(error).__name__}. "
        "Run `agy-nb doctor`; if ANTIGRAVITY_HARNESS_PATH is set, see that it names the real binary"
    )


def _run_without_loop(coroutine: Coroutine[Any, Any, Connected]) -> Connected:
    """Run a coroutine that never really waits, as the handshake without its WebSocket is."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Connected = done.value
        return result
    coroutine.close()
    msg = "the SDK's harness handshake awaits something new; this SDK version is not supported"
    raise RuntimeError(msg)


@contextlib.contextmanager
def intercepted(
    interceptor: Interceptor, *, model_needed: Callable[[], Awaitable[bool]] | None = None
) -> Iterator[None]:
    """Stand between the SDK and its harness while the block lasts, for this whole process.

    Holds for agents of our runtime and for code that uses the SDK's `Agent` directly.

    Args:
        interceptor: Called for each start with the SDK's strategy and the real start.
        model_needed: Asked whether an agent that is started now needs a model; it does by default.

    Raises:
        RuntimeError: Somebody stands there already.
    """
    global _interceptor, _model_needed  # noqa: PLW0603 - one process, one seam
    if _interceptor is not None:
        msg = "the harness is intercepted already; interceptions do not nest"
        raise RuntimeError(msg)
    install()
    _interceptor, _model_needed = interceptor, model_needed
    try:
        yield
    finally:
        _interceptor = _model_needed = None


def needs_no_key(strategy: Any) -> None:
    """Let a harness start that has no key: whoever stands before the model asks for none."""
    strategy._agy_invalid = None


async def model_needed() -> bool:
    """Whether an agent that is started now needs a model; in a replay it does not."""
    return _model_needed is None or await _model_needed()
