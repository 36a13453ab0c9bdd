"""How the SDK starts a harness: our way, off the event loop, and with room for a cassette between.

The SDK blocks the loop while the harness starts (it reads a pipe) and while it stops (it waits for
the process, up to three minutes). Here the SDK's own handshake runs in a thread, up to the point
where the WebSocket is needed, and the wait for the exit is ours.

Rule 1: whatever happens in a start, a process that came up is taken down again.
Rule 2: `intercepted` is the only way for others (cassettes) to stand between SDK and harness; who
`follow`s a strategy may listen to its frames.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from agy_nb.errors import HarnessError
from agy_nb.sdk.base import Listen
from agy_nb.sdk.process import Harness, SubprocessForSdk, born_for
from agy_nb.sdk.socket import ObservedSocket
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


Observe: TypeAlias = Callable[[Any], ObservedSocket]
"""Puts an observer around the socket of a connection."""

Spawn: TypeAlias = Callable[[], Awaitable[Connected]]
Interceptor: TypeAlias = Callable[[Any, Spawn], Awaitable[Connected]]
"""Takes the SDK's strategy and the real start; gives a connection of its own making."""

PATH_VARIABLE = "ANTIGRAVITY_HARNESS_PATH"
"""The SDK's variable for another harness binary."""

_interceptor: Interceptor | None = None
_model_needed: Callable[[], Awaitable[bool]] | None = None


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

    if isinstance(local_connection.subprocess, SubprocessForSdk):
        return
    local_connection.subprocess = SubprocessForSdk()  # type: ignore[assignment]
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

    async def connect_observed(strategy: Any, **options: Any) -> Connected:
        process, ws, url = await connect(strategy, **options)
        observe: Observe | None = getattr(strategy, "_agy_observe", None)
        return process, (ws if observe is None else observe(ws)), url

    strategy_type._spawn_harness_and_connect_ws = connect_observed  # type: ignore[method-assign,assignment]
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


def follow(strategy: Any, options: StartOptions, observe: Observe | None = None) -> Harness:
    """Keep hold of the harness that a strategy of the SDK is about to start.

    Args:
        strategy: The SDK's connection strategy, not yet entered.
        options: How it is started.
        observe: Gets the socket that the SDK would use, and gives the one to use.
    """
    install()
    strategy._agy_observe = observe
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
        with born_for(harness):
            return _run_without_loop(handshake())

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
