"""Ask the harness for the results of MCP tools."""

from __future__ import annotations

from typing import Any

from google.antigravity.hooks import hooks


class McpResultHook(hooks.PostToolCallHook):
    """Does nothing: where an agent has such a hook, the harness reports results of MCP tools."""

    async def run(self, context: Any, data: Any) -> None:
        """See `PostToolCallHook`."""
        del context, data
