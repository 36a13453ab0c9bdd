"""Results of MCP tools, which come apart from their calls.

The step of an MCP call has no result. The harness reports the result to a hook that runs after
tools, in a request with a numbering of its own, shortly before or after the step's last update. It
runs the calls of one trajectory one after the other, so the oldest call of a tool gets its oldest
result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from agy_nb.protocol.events import ToolResult
from agy_nb.wire import frames as f
from agy_nb.wire.frames import Frame
from agy_nb.wire.json_values import list_of, object_of, text_of

_Tool: TypeAlias = tuple[str, str | None, str]
"""A tool of an MCP server in one trajectory: ids of trajectory and server, and its name."""


@dataclass(slots=True)
class McpResults:
    """Joins the calls of MCP tools with their results, in whichever order they come.

    Attributes:
        early: Results whose calls have not ended.
        waiting: Ends of calls whose results have not come.
    """

    early: dict[_Tool, deque[str]] = field(default_factory=dict)
    waiting: dict[_Tool, deque[ToolResult]] = field(default_factory=dict)

    def called(self, event: ToolResult, server: str | None, config: Frame) -> Iterator[ToolResult]:
        """Take the end of a call; yield it if nothing more will come, or if the result is known.

        Args:
            event: The end of the call, without a result.
            server: The MCP server.
            config: The connection's configuration, which says whether results are reported.
        """
        tool = (event.trajectory.id, server, event.name)
        early = self.early.get(tool)
        hooks = list_of(object_of(config.get(f.CONFIG)).get(f.ENABLED_HOOKS))
        if early:
            yield replace(event, result=early.popleft())
        elif event.error is not None or f.AFTER_TOOL not in hooks:
            yield event
        else:
            self.waiting.setdefault(tool, deque()).append(event)

    def reported(self, about: Frame) -> Iterator[ToolResult]:
        """Take a result that the harness reports to a hook; yield the call that waits for it."""
        server = text_of(about.get(f.SERVER_NAME)) or None
        if server is None or about.get(f.ERROR):
            return
        result = text_of(about.get(f.RESULT))
        tool = (text_of(about.get(f.TRAJECTORY_ID)), server, text_of(about.get(f.TOOL_NAME)))
        waiting = self.waiting.get(tool)
        if waiting:
            yield replace(waiting.popleft(), result=result)
        else:
            self.early.setdefault(tool, deque()).append(result)

    def give_up(self, trajectory_id: str | None = None) -> Iterator[ToolResult]:
        """Yield the calls whose result has not come, as the agent continues without it.

        Args:
            trajectory_id: The trajectory; all of them if it is None.
        """
        for tool in [*self.waiting]:
            if trajectory_id is None or tool[0] == trajectory_id:
                yield from self.waiting.pop(tool)
