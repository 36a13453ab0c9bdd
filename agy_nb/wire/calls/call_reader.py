"""Tool calls and their results.

The harness runs built-in and MCP tools itself: a step shows the call and its result. A host tool is
called with a frame of its own, and the client answers with another. `tool_decisions` reads the
calls that are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agy_nb.protocol.events import (
    Event,
    ToolCall,
    ToolException,
    ToolResult,
)
from agy_nb.wire import frames as f
from agy_nb.wire.calls.mcp_results import McpResults
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import (
    arguments_of,
    builtin_of,
    object_of,
    response_of,
    text_of,
)
from agy_nb.wire.reader_state import Connection, OpenStep, OpenTrajectory


@dataclass(slots=True)
class _HostCall:
    """A call of a host function that has not been answered."""

    name: str
    trajectory: OpenTrajectory
    step_index: int | None


@dataclass(slots=True)
class CallsOfTurn:
    """What is known about the calls of one turn.

    Attributes:
        step_of_call: The step that announced a call, by the call's id.
        refused: Calls whose answer will be a refusal.
        raised: What the host functions of calls raised, until the answer comes.
    """

    step_of_call: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    raised: dict[str, ToolException] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class CallReader:
    """Reads the frames about the tools of one connection.

    Args:
        connection: The state of the connection so far.

    Attributes:
        turn: The calls of the present turn.
        mcp_results: What MCP tools returned, which comes apart from their calls.
    """

    _connection: Connection
    _host_calls: dict[str, _HostCall] = field(default_factory=dict)
    turn: CallsOfTurn = field(default_factory=CallsOfTurn)
    mcp_results: McpResults = field(default_factory=McpResults)

    # -- host tools --------------------------------------------------------------------------

    def called(self, body: Frame, at: float) -> Iterator[Event]:
        """Read a harness's call of a host function."""
        call_id = text_of(body.get(f.ID))
        name = text_of(body.get(f.NAME)) or "?"
        trajectory = self._connection.trajectory(text_of(body.get(f.TRAJECTORY_ID)))
        index = self.turn.step_of_call.pop(call_id, None)
        self._host_calls[call_id] = _HostCall(name, trajectory, index)
        trajectory.begin_announced(name, call_id)
        yield ToolCall(
            trajectory=trajectory.where,
            call_id=call_id,
            name=name,
            args=arguments_of(body),
            source="custom",
            step_index=index,
            at=at,
        )

    def answered_call(self, body: Frame, at: float) -> Iterator[Event]:
        """Read a client's answer to a call of a host function."""
        call_id = text_of(body.get(f.ID))
        known = self._host_calls.pop(call_id, None)
        error = body.get(f.ERROR_MESSAGE)
        failed = isinstance(error, str) and error != ""
        raised = self.turn.raised.pop(call_id, None) if failed else None
        if known is None:
            self._connection.problem("unknown_call", f"the answer to call {call_id!r}", at)
        where = self._connection.trajectory("").where if known is None else known.trajectory.where
        yield ToolResult(
            trajectory=where,
            call_id=call_id,
            name="?" if known is None else known.name,
            result=None if failed else response_of(body),
            error=_with_type(str(error), raised) if failed else None,
            denied=failed and call_id in self.turn.refused,
            error_type=None if raised is None else raised.error_type,
            traceback="" if raised is None else raised.traceback,
            at=at,
        )

    def refuse(self, call_id: str) -> None:
        """Note that the answer to a call will be a refusal."""
        self.turn.refused.add(call_id)

    def raised(self, note: ToolException) -> None:
        """Note that the answer to a call will be the text of this exception."""
        self.turn.raised[note.call_id] = note

    def host_step(self, body: Frame, step: OpenStep) -> None:
        """Note that a step shows a call of a host function."""
        shown = object_of(body.get(f.CUSTOM_TOOL))
        call = object_of(shown.get(f.TOOL_CALL)) or shown
        step.tool = text_of(call.get(f.NAME)) or "?"
        step.call_id = text_of(call.get(f.ID)) or None
        # A call and the step that shows it come in either order. Only a call that
        # is still to come needs the note.
        if step.call_id and step.call_id not in self._host_calls and step.state != "done":
            self.turn.step_of_call[step.call_id] = step.index

    # -- tools of the harness ----------------------------------------------------------------

    def harness_step(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, at: float
    ) -> Iterator[Event]:
        """Read a step of a built-in or an MCP tool: first the call, at the end its result."""
        found = _harness_tool(body)
        if found is None:
            return
        tool, args, server = found
        if step.tool is None:
            known = trajectory.begin_announced(tool, "")
            if not args and known is not None:
                args = known.args
            step.tool, step.args, step.server = tool, args, server
            step.call_id = f"{trajectory.where.id}:{step.index}"
            step.label = text_of(body.get(f.TEXT))
            yield ToolCall(
                trajectory=trajectory.where,
                call_id=step.call_id,
                name=tool,
                args=args,
                source="mcp" if f.MCP_TOOL in body else "builtin",
                server=server,
                step_index=step.index,
                at=at,
            )
        state = body.get(f.STATE)
        if state in (f.DONE, f.FAILED) and step.state not in ("done", "error"):
            ended = self._harness_result(body, step, trajectory, args, at)
            if f.MCP_TOOL in body and ended.result is None:
                yield from self.mcp_results.called(ended, server, self._connection.config)
            else:
                yield ended

    def _harness_result(
        self, body: Frame, step: OpenStep, trajectory: OpenTrajectory, args: Frame, at: float
    ) -> ToolResult:
        """Return the result of a step, from its last update."""
        failed = body.get(f.STATE) == f.FAILED
        added = {key: value for key, value in args.items() if step.args.get(key) != value}
        words = text_of(body.get(f.TEXT))
        return ToolResult(
            trajectory=trajectory.where,
            call_id=step.call_id or "",
            name=step.tool or "?",
            result=None if failed else added or (words if words != step.label else "") or None,
            error=error_words(body) or "failed" if failed else None,
            at=at,
        )


def _with_type(words: str, raised: ToolException | None) -> str:
    """Put the exception's class before its text, which alone may say little: `'customer 17'`."""
    if raised is None or words.startswith(raised.error_type):
        return words
    return f"{raised.error_type}: {words}"


def error_words(body: Frame) -> str:
    """Return the harness's message of a step's error."""
    error = object_of(body.get(f.ERROR))
    return text_of(error.get(f.ERROR_MESSAGE)) or text_of(body.get(f.ERROR_MESSAGE))


def _harness_tool(body: Frame) -> tuple[str, Frame, str | None] | None:
    mcp = body.get(f.MCP_TOOL)
    if isinstance(mcp, dict):
        server = text_of(mcp.get(f.SERVER_NAME)) or None
        return text_of(mcp.get(f.TOOL_NAME)) or "?", arguments_of(mcp), server
    found = builtin_of(body)
    return None if found is None else (*found, None)
