"""One row per tool call: it needs approval, runs, and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agy_nb.protocol.events import Approval, ToolCall, ToolException, ToolResult
from agy_nb.protocol.values import JsonObject
from agy_nb.widgets.response import tool_calls
from agy_nb.widgets.response.call_details import command_of, path_of
from agy_nb.widgets.tree.node_tree import NodeTree
from agy_nb.widgets.tree.nodes import Upsert
from agy_nb.widgets.tree.subagents import Subagents

_EDITS = frozenset(("create_file", "edit_file"))
"""Names of the harness's tools that write files: it asks about one and reports the other."""


@dataclass(slots=True)
class _Call:
    node: str
    parent: str
    call: ToolCall
    result: ToolResult | None = None
    raised: ToolException | None = None
    decision: Approval | None = None


@dataclass(slots=True)
class _SameTool:
    """The calls of one tool in a turn, and the arguments in which they differ."""

    calls: list[_Call] = field(default_factory=list)
    differing: set[str] = field(default_factory=set)

    def add(self, known: _Call) -> bool:
        """Add a call; return whether more arguments differ now."""
        if known not in self.calls:
            self.calls.append(known)
        first, args = self.calls[0].call.args, known.call.args
        before = len(self.differing)
        self.differing |= {key for key in first if key not in args or args[key] != first[key]}
        self.differing |= args.keys() - first.keys()
        return len(self.differing) > before


class ToolRows:
    """The rows of the tool calls of a turn.

    Args:
        tree: Receives the rows.
        subagents: The nodes that contain the rows of subagents.
        close_text: Ends the text that is open below a node.
    """

    def __init__(
        self, tree: NodeTree, subagents: Subagents, close_text: Callable[[str], None]
    ) -> None:
        self._tree = tree
        self._subagents = subagents
        self._close_text = close_text
        self.begin_turn()

    def begin_turn(self) -> None:
        """Forget the calls of the previous turn."""
        self._calls: dict[str, _Call] = {}
        self._running: list[_Call] = []
        self._same_tool: dict[tuple[str, str | None], _SameTool] = {}
        self._decisions: dict[str, Approval] = {}
        self._refusals: set[str] = set()

    # -- events ------------------------------------------------------------------------------

    def on_call(self, event: ToolCall) -> None:
        """Add the row of a call, or show more of its arguments."""
        if event.call_id in self._refusals:  # its approval card shows it
            return
        self._subagents.on_call(event)
        known = self._calls.get(event.call_id)
        if known is None:
            parent = self._subagents.node_of(event.trajectory)
            self._close_text(parent)
            known = _Call(self._tree.new_id(), parent, event)
            self._calls[event.call_id] = known
            self._running.append(known)
        else:
            known.call = event
        self._take_decision(known)
        same = self._same_tool.setdefault((event.name, event.server), _SameTool())
        for each in same.calls if same.add(known) else (known,):
            self._show(each)

    def on_result(self, event: ToolResult) -> None:
        """Show the result of a call."""
        known = self._calls.get(event.call_id)
        if known is not None:
            known.result = event
            self._running = [each for each in self._running if each is not known]
            self._show(known)

    def on_exception(self, event: ToolException) -> None:
        """Show the exception that a call raised."""
        known = self._calls.get(event.call_id)
        if known is not None:
            known.raised = event
            self._show(known)

    def allow(self, event: Approval) -> bool:
        """Show a decision in the row of its call; return whether there is a row yet."""
        known = self._calls.get(event.call_id)
        if known is None:
            self._decisions[event.call_id] = event
            return False
        known.decision = event
        self._show(known)
        return True

    def refuse(self, call_id: str) -> None:
        """Remove the row of a refused call: its approval card shows the call."""
        self._refusals.add(call_id)
        known = self._calls.pop(call_id, None)
        if known is not None:
            self._tree.remove(known.node)
            self._running = [each for each in self._running if each is not known]

    def end(self, state: str) -> None:
        """Show in the rows of calls without a result that the turn has ended.

        Args:
            state: The label of such calls.
        """
        for known in self._calls.values():
            if known.result is None:
                self._show(known, state)

    @property
    def running(self) -> str:
        """The name of the tool that was called last and has not ended, empty if none runs."""
        return self._running[-1].call.name if self._running else ""

    # -- rows --------------------------------------------------------------------------------

    def _take_decision(self, known: _Call) -> None:
        """Move a decision that allowed a call into the row of the call."""
        if known.decision is not None:
            return
        found = known.call.call_id
        if found not in self._decisions:
            decided = self._decisions.items()
            found = next((key for key, event in decided if _is_about(event, known.call)), "")
        decision = self._decisions.pop(found, None)
        if decision is not None:
            known.decision = decision
            self._tree.remove(decision.approval_id)

    def _show(self, known: _Call, state: str = "") -> None:
        call, result = known.call, known.result
        ran = result is not None and not result.denied
        wait = result.at - call.at if result is not None and ran and result.at and call.at else None
        same = self._same_tool.get((call.name, call.server))
        self._tree.upsert(
            Upsert(
                id=known.node,
                parent=known.parent,
                kind="tool",
                head=tool_calls.tool(
                    call,
                    result,
                    state,
                    wait,
                    known.raised,
                    decision=known.decision,
                    differing=set() if same is None else same.differing,
                ),
                body=tool_calls.tool_body(call, result, known.raised, known.decision),
                fold="closed",
            )
        )


def _is_about(event: Approval, call: ToolCall) -> bool:
    """Return whether a decision is about a call of the harness's own tools.

    The harness gives such a call one id when it asks, and another one when it runs.
    """
    if call.source != "builtin" or event.trajectory.id != call.trajectory.id:
        return False
    if event.tool != call.name and not {event.tool, call.name} <= _EDITS:
        return False
    return _object_of(event.edited or event.args) == _object_of(call.args)


def _object_of(args: JsonObject) -> object:
    """Return what a call is about: its command, its path, or all its arguments."""
    command = command_of(args)
    return args[command] if command is not None else path_of(args) or args
