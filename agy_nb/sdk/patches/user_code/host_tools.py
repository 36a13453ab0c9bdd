"""How the host tools of one agent run.

The harness asks about the calls of the root agent and of its clones. About those of a subagent that
has a name it does not, so the agent's policies are enforced here.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from google.antigravity import types
from google.antigravity.tools.tool_runner import ToolWithSchema

from agy_nb.protocol import events
from agy_nb.protocol.encodable import encodable_text
from agy_nb.sdk.deadlocks import user_code
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.patches.user_code.blocking_tools import current_call, noted
from agy_nb.sdk.patches.user_code.guard import UserCodeError, contained, contained_wait
from agy_nb.sdk.patches.user_code.ordered_sets import with_ordered_sets

MOST_WORDS = 20_000
"""Characters of a tool's exception, and of its traceback, that are noted."""

_MOST_RAISED = 32
"""Exceptions of tools that are kept for hooks."""

Note = Callable[[events.Event], None]
"""Takes a fact that never crosses the wire."""

Denial = Callable[[types.ToolCall], Awaitable[str | None]]
"""Says why a call may not be made, None if it may."""


def contain_tools(runner: Any) -> None:
    """Guard the tools of an SDK's tool runner: their exceptions end nothing else."""
    inner = getattr(runner, "_execute_fn", None)
    if inner is None:
        execute = runner.execute

        async def execute_contained(tool_name: str, **kwargs: Any) -> Any:
            with user_code(f"the tool {tool_name!r}"):
                return await contained_wait(execute(tool_name, **kwargs))

        runner.execute = execute_contained
        return

    async def run_contained(function: Callable[..., Any], **kwargs: Any) -> Any:
        name, plain = getattr(function, "__name__", str(function)), not _is_async(function)
        if plain:
            function = noted(contained(function))
        with user_code(f"the tool {name!r}", plain=plain):
            return await contained_wait(inner(function, **kwargs))

    runner._execute_fn = run_contained


class RecordedToolError(Exception):
    """What a tool raised in the recording; it has not run in the replay.

    Args:
        note: The recorded host note.
    """

    def __init__(self, note: events.ToolException) -> None:
        super().__init__(note.message)
        self.note = note


class ToolGuard:
    """Decides on each call of a host tool before it runs, and keeps hold of those that run.

    Args:
        runner: The SDK's tool runner.
        denial: Says why a call may not be made.
        note: Takes the denials, and what the tools raised.

    Attributes:
        raised: What the latest tools raised, by the call's id, for the hooks on a tool's error: the
            harness tells those only the words.
        turn_is_cancelled: Whether no tool starts until the next turn, which sets it to False.
    """

    def __init__(self, runner: Any, denial: Denial, note: Note) -> None:
        self._note = note
        self._running: set[asyncio.Task[Any]] = set()
        self.turn_is_cancelled: bool = False
        self._denial = denial
        self.raised: dict[str, BaseException] = {}
        self._process = runner.process_tool_calls
        runner.process_tool_calls = self._process_tool_calls

    async def _process_tool_calls(
        self, tool_calls: Sequence[types.ToolCall]
    ) -> list[types.ToolResult]:
        if self.turn_is_cancelled:  # the harness sent the call before it read of the cancel
            raise asyncio.CancelledError
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        results = []
        for call in tool_calls:
            denial = await self._denial(call)
            if denial is not None:
                self._note(events.ToolDenied(call_id=call.id or "", reason=denial, at=now()))
                results.append(types.ToolResult(id=call.id, name=call.name, error=denial))
                continue
            current_call.set(call.id or "")
            for result in await self._process([call]):
                if result.exception is not None:
                    self._note(_exception_of(result))
                    if not isinstance(result.exception, RecordedToolError):
                        self._keep(result.id or "", result.exception)
                results.append(_sendable(result))
        return results

    def _keep(self, call_id: str, error: BaseException) -> None:
        self.raised[call_id] = error
        while len(self.raised) > _MOST_RAISED:  # where no hook asks for them
            del self.raised[next(iter(self.raised))]

    def cancel(self) -> None:
        """Cancel the host tools that run, and start none of this turn any more."""
        self.turn_is_cancelled = True
        current = asyncio.current_task()
        for task in tuple(self._running):
            if task is not current:
                task.cancel()


def _is_async(function: Any) -> bool:
    """Return whether the SDK runs a tool on the event loop; it runs others in a thread."""
    while isinstance(function, ToolWithSchema):
        function = function.fn
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object that can be called
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _sendable(result: types.ToolResult) -> types.ToolResult:
    ordered = with_ordered_sets(result.result)
    if ordered is not result.result:
        result = result.model_copy(update={"result": ordered})
    return _with_words(result)


def _with_words(result: types.ToolResult) -> types.ToolResult:
    """Add words to an error without any (`assert`), which the model would not see as one."""
    if result.error is None:
        return result
    error, words = result.exception, encodable_text(result.error)
    if not words.strip():
        words = "the tool failed" if error is None else type(error).__name__
    return result if words == result.error else result.model_copy(update={"error": words})


def _exception_of(result: types.ToolResult) -> events.ToolException:
    """Return the exception of a tool as a host note: the wire has only its words."""
    error: BaseException | None = result.exception
    if isinstance(error, RecordedToolError):
        return replace(error.note, call_id=result.id or "", at=now())
    if isinstance(error, UserCodeError):  # it stands for what the tool raised
        error = error.__cause__ or error
    return events.ToolException(
        call_id=result.id or "",
        error_type=type(error).__name__,
        message=_repr_of(error)[:MOST_WORDS],
        traceback="".join(traceback.format_exception(error))[-MOST_WORDS:],
        at=now(),
    )


def _repr_of(error: BaseException | None) -> str:
    try:
        return encodable_text(repr(error))
    except Exception:  # of the user's own class
        return type(error).__name__
