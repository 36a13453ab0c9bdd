"""Lead every start of a harness through `agy_nb.sdk.process.launch`, for this whole process.

The SDK's strategies import two modules for it, `subprocess` and `websockets`. Both are replaced
inside the SDK's module, and only there. That is the same place in all versions of the SDK,
independent of the names of its methods.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from google.antigravity import types
from google.antigravity.connections.local import local_connection
from google.antigravity.tools.tool_runner import ToolRunner

from agy_nb.errors import UnsupportedSdkError
from agy_nb.protocol.events import ToolException
from agy_nb.sdk.patches import outside_start, table
from agy_nb.sdk.patches.deferred_process import DeferredProcess
from agy_nb.sdk.patches.replayed_decisions import result_fields
from agy_nb.sdk.patches.user_code.guard import UserCodeError
from agy_nb.sdk.patches.user_code.host_tools import RecordedToolError
from agy_nb.sdk.process import interceptor, launch, raised_exceptions
from agy_nb.sdk.process.refused_harness import PATH_VARIABLE

_NAME = outside_start.KEY_HEADER
_NO_ENGINE = "http://127.0.0.1:9"
"""The address of a LiteRT model in a replay. Nothing listens there."""


class _SubprocessForSdk:
    """The module `subprocess`, but a process is started later."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def Popen(self, command: list[str], **options: Any) -> DeferredProcess:  # noqa: N802 - its name there
        start = launch.current.get()
        if start is None or start.process is not None:
            start = launch.begin()  # of a strategy that we do not know
        process = DeferredProcess(uuid.uuid4().hex, command, options)
        start.ask_for(process)
        return process


class _WebsocketsForSdk:
    """The module `websockets`, but the address of a `DeferredProcess` leads to the real one."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def connect(self, url: str, **options: Any) -> Any:
        start = launch.current.get()
        headers: dict[str, str] = dict(options.get("additional_headers") or {})
        process = None if start is None else start.process
        if start is None or process is None or headers.get(_NAME) != process.key:
            return self._real.connect(url, **options)

        async def open_socket(url: str, key: str) -> Any:
            with_key = {**options, "additional_headers": {**headers, _NAME: key}}
            try:
                with interceptor.let_through():
                    return await self._real.connect(url, **with_key)
            except self._real.WebSocketException as error:
                raise OSError(str(error)) from error

        return start.answer(open_socket)


def install() -> None:
    """Have the SDK start every harness our way from now on; once is enough.

    Raises:
        UnsupportedSdkError: The SDK lacks something that this needs.
    """
    if isinstance(getattr(local_connection, "subprocess", None), _SubprocessForSdk):
        return
    table.check()
    strategies, engines = _strategies(), _engines()  # an import that fails leaves all as it was
    local: Any = local_connection
    local.subprocess = _SubprocessForSdk(local.subprocess)
    local.websockets = _WebsocketsForSdk(local.websockets)
    for strategy in strategies:
        strategy.__aenter__ = _as_one_start(strategy.__aenter__)
    for engine in engines:
        engine.__aenter__ = _with_engine_when_needed(engine)
    endpoints: tuple[Any, ...] = (types.GeminiAPIEndpoint, types.VertexEndpoint)
    for endpoint in endpoints:
        if hasattr(endpoint, "validate_endpoint"):  # without it a replay needs a key
            endpoint.validate_endpoint = _validated_when_needed(endpoint.validate_endpoint)
    runner: Any = ToolRunner
    runner.process_tool_calls = _recorded_or_run(runner.process_tool_calls)
    find = getattr(local, "_get_default_binary_path", None)
    if find is not None:  # without it each start searches, and a replay needs the binary
        local._get_default_binary_path = _found_once(find)


def _strategies() -> tuple[Any, ...]:
    """Return the SDK's strategies that spawn a harness themselves."""
    strategies: list[Any] = [local_connection.LocalConnectionStrategy]
    try:
        from google.antigravity.connections.local import interactions_connection
    except ImportError:  # new in 0.1.21
        pass
    else:
        strategies.append(interactions_connection.InteractionsConnectionStrategy)
    return tuple(strategies)


def _engines() -> tuple[Any, ...]:
    """Return the SDK's strategies that run a model in this process."""
    try:
        from google.antigravity.connections.local import litert_connection
    except ImportError:  # new in 0.1.21
        return ()
    return (litert_connection.LiteRTConnectionStrategy,)


def _with_engine_when_needed(strategy_type: Any) -> Callable[[Any], Awaitable[None]]:
    """Have an agent load its model, which takes a large file, only where a model is used."""
    enter, without_engine = strategy_type.__aenter__, super(strategy_type, strategy_type).__aenter__

    @wraps(enter)
    async def enter_with_or_without(strategy: Any) -> None:
        if await interceptor.engine_needed():
            await enter(strategy)
            return
        strategy._validate_connection = lambda: None  # it looks for the file
        strategy._base_url = _NO_ENGINE
        await without_engine(strategy)

    return enter_with_or_without


def _as_one_start(
    enter: Callable[[Any], Awaitable[None]],
) -> Callable[[Any], Awaitable[None]]:
    @wraps(enter)
    async def enter_once(strategy: Any) -> None:
        known = launch.current.get()
        if known is not None and known.strategy is strategy:  # `super().__aenter__()`
            await enter(strategy)
            return
        start = launch.begin(strategy)
        try:
            await enter(strategy)
        except launch.StartFailedError as failed:
            raise failed.error from failed.error.__cause__
        finally:
            launch.end(known)
        if not start.connected:
            await strategy.__aexit__(None, None, None)
            msg = (
                "this version of google-antigravity starts its harness in a way that agy_nb does "
                f"not know; {table.REMEDY}"
            )
            raise UnsupportedSdkError(msg)
        processor = getattr(getattr(strategy, "_connection", None), "_processor", None)
        steps = getattr(processor, "step_queue", None)
        if steps is not None:  # with another version, the end of a turn does not wait
            start.read_through(steps.empty)

    return enter_once


def _validated_when_needed(validate: Callable[[Any], None]) -> Callable[[Any], None]:
    """Defer the SDK's check for a key, which a replay does not need."""

    @wraps(validate)
    def validate_now_or_later(endpoint: Any) -> None:
        try:
            validate(endpoint)
        except ValueError as error:
            start = launch.current.get()
            if not interceptor.is_intercepted() or (start and start.process is not None):
                raise
            refusal = types.AntigravityValidationError(str(error))
            if start is None:  # of a strategy that starts its harness by itself
                outside_start.put_off(refusal)
            else:
                start.invalid = refusal

    return validate_now_or_later


def _recorded_or_run(process: Callable[..., Any]) -> Callable[..., Any]:
    """Run host tools, or take their results from the recording that the agent replays."""

    @wraps(process)
    async def process_tool_calls(runner: Any, tool_calls: Any) -> list[types.ToolResult]:
        recorded = launch.recorded_results.get()
        if recorded is None:
            results: list[types.ToolResult] = await process(runner, tool_calls)
            for result in results:
                _keep_exception(result)
            return results
        await asyncio.sleep(0)
        return [_recorded(recorded, call) for call in tool_calls]

    return process_tool_calls


def _keep_exception(result: types.ToolResult) -> None:
    """Keep what a tool raised, for the mismatch of a replay."""
    error: BaseException | None = result.exception
    if error is None:
        raised_exceptions.forget(result.id or "")
        return
    if isinstance(error, UserCodeError):  # it stands for what the tool raised
        error = error.__cause__ or error
    raised_exceptions.keep(result.id or "", error)


def _recorded(results: launch.RecordedResults, call: Any) -> types.ToolResult:
    call_id = call.id or ""
    note, fields = results.raised(call_id), result_fields(results.result(call_id))
    if isinstance(note, ToolException):
        fields["exception"] = RecordedToolError(note)
    return types.ToolResult(id=call.id, name=call.name, **fields)


def _found_once(find: Callable[[Any], str]) -> Callable[[Any], str]:
    """Cache the SDK's search for its binary, which reads the list of the package's files.

    A missing binary is not an error yet, since a replay may need none.
    """
    found: dict[tuple[str, str], str] = {}
    variable = PATH_VARIABLE

    @wraps(find)
    def find_once(env: dict[str, str] | None) -> str:
        key = ((env or {}).get(variable, ""), os.environ.get(variable, ""))
        known = found.get(key)
        if known is not None and os.path.exists(known):  # noqa: PTH110 - as the SDK does; quick
            return known
        try:
            found[key] = find(env)
        except RuntimeError:
            if not interceptor.is_intercepted():
                raise
            return "localharness"
        return found[key]

    return find_once
