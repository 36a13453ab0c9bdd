"""What tools an agent has, as far as this side of the wire knows, and how they are run."""

from __future__ import annotations

import json
import re
from typing import Any

from google.antigravity import types
from google.antigravity.connections.connection import AgentConfig, resolve_active_tools
from google.antigravity.connections.local.local_connection import callable_to_tool_proto
from google.antigravity.tools import tool_runner as sdk_tools

from agy_nb.errors import InvalidConfigError
from agy_nb.sdk.interfaces import ToolInfo


def list_tools(config: AgentConfig, tool_runner: Any) -> tuple[ToolInfo, ...]:
    """Built-in tools that are enabled, host functions, and what is known of MCP servers.

    The harness alone talks to MCP servers, so their tools are known here only where the
    configuration names them; a server without names is listed once, as `*`.
    """
    return (*_builtin(config), *_custom(tool_runner), *_mcp(config))


def why_not_described(tool_runner: Any) -> InvalidConfigError | None:
    """Which tool the SDK cannot describe to the model, and what to do; None if it can all."""
    for tool in tool_runner.tools.values() if tool_runner else ():
        try:
            callable_to_tool_proto(tool, tool_runner=sdk_tools.ToolRunner([tool]))
        except Exception as error:  # noqa: BLE001 - whatever the SDK makes of a signature
            words = str(error).partition(" for automatic function calling")[0].rstrip(".")
            return InvalidConfigError(
                f"the tool {getattr(tool, '__name__', tool)!s} cannot be described to the model: "
                f"{words}; give each of its parameters a type that JSON can hold, as str, int, "
                "list[str], an Enum or a pydantic model, in a function of your own around it if "
                "need be",
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
