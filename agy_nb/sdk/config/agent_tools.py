"""List an agent's tools, and explain why a tool cannot be described to the model."""

from __future__ import annotations

import json
import re
from typing import Any

from google.antigravity import types
from google.antigravity.connections.connection import AgentConfig, resolve_active_tools
from google.antigravity.connections.local.local_connection import callable_to_tool_proto
from google.antigravity.tools import tool_runner as sdk_tools

from agy_nb.errors import InvalidConfigError
from agy_nb.sdk.interfaces.agent_spec import ToolInfo


def list_tools(config: AgentConfig, tool_runner: Any) -> tuple[ToolInfo, ...]:
    """List the enabled built-in tools, the host functions and the known tools of MCP servers.

    Only the harness talks to MCP servers, so their tools are known if the configuration names them.
    A server without names is listed once, as `*`.
    """
    return (*_builtin(config), *_custom(tool_runner), *_mcp(config))


def why_not_described(tool_runner: Any) -> InvalidConfigError | None:
    """Return the error for a tool that the SDK cannot describe to the model, None if it can."""
    for tool in tool_runner.tools.values() if tool_runner else ():
        try:
            callable_to_tool_proto(tool, tool_runner=sdk_tools.ToolRunner([tool]))
        except Exception as error:
            words = str(error).partition(" for automatic function calling")[0].rstrip(".")
            return InvalidConfigError(
                f"the tool {getattr(tool, '__name__', tool)!s} cannot be described to the model: "
                f"{words}. Annotate each parameter with a type that JSON can hold: str, int, "
                "list[str], an Enum or a pydantic model. You can wrap the tool in a function",
                field="tools",
            )
    return None


def _builtin(config: AgentConfig) -> list[ToolInfo]:
    words = dict(
        re.findall(r"^\s+([A-Z_]+): (.+)$", types.BuiltinTools.__doc__ or "", re.MULTILINE)
    )
    active = resolve_active_tools(config.capabilities)
    return [
        ToolInfo(name=tool.value, source="builtin", description=words.get(tool.name, ""))
        for tool in types.BuiltinTools
        if tool in active
    ]


def _custom(tool_runner: Any) -> list[ToolInfo]:
    found = []
    for function in tool_runner.tools.values() if tool_runner else ():
        proto = callable_to_tool_proto(function, tool_runner=tool_runner)
        found.append(
            ToolInfo(
                name=proto.name,
                source="custom",
                description=proto.description,
                parameters=json.loads(proto.parameters_json_schema),
            )
        )
    return found


def _mcp(config: AgentConfig) -> list[ToolInfo]:
    return [
        ToolInfo(name=name, source="mcp", server=server.name)
        for server in config.mcp_servers or []
        for name in (getattr(server, "enabled_tools", None) or ["*"])
    ]
