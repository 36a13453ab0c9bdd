"""Read MCP servers from an `mcp.json`, the file format of other clients."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
from google.antigravity import types

from agy_nb.errors import InvalidConfigError

_VARIABLE = re.compile(r"\$\{(?:env:)?(\w+)(?::-([^}]{0,4000}))?\}")
_HTTP = frozenset({"http", "streamable-http", "streamable_http", "streamableHttp"})


def load_mcp_servers(
    path: str | os.PathLike[str] = "mcp.json",
) -> list[types.McpStdioServer | types.McpStreamableHttpServer]:
    """Read the MCP servers of an `mcp.json`.

    A server with a `command` is started and used over stdin and stdout; one with a `url` is used
    over HTTP. `${NAME}` and `${NAME:-default}` are replaced by environment variables. Servers with
    `"disabled": true` are left out.

    Args:
        path: The file: a JSON object with `mcpServers` (or `servers`), by name.

    Returns:
        The servers for `LocalAgentConfig(mcp_servers=...)`, in the order of the file.

    Raises:
        InvalidConfigError: The file does not exist, has another form, or needs an environment
            variable that is not set; `field` is the path within the file.

    Example:
        >>> from pathlib import Path
        >>> text = '{"mcpServers": {"files": {"command": "mcp-files", "args": ["."]}}}'
        >>> _ = Path("mcp.json").write_text(text)
        >>> [server.name for server in agy.load_mcp_servers("mcp.json")]
        ['files']
    """
    try:
        parsed = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfigError(
            f"cannot read {os.fspath(path)!r}: {error}", field="path"
        ) from error
    servers = None
    if isinstance(parsed, dict):
        servers = parsed.get("mcpServers", parsed.get("servers"))
    if not isinstance(servers, dict):
        raise InvalidConfigError(
            f"{os.fspath(path)!r} must hold a JSON object with `mcpServers`, an object of servers "
            "by name",
            field="mcpServers",
        )
    return [
        _server(name, _expanded(entry, f"mcpServers.{name}"))
        for name, entry in servers.items()
        if not (isinstance(entry, dict) and entry.get("disabled") is True)
    ]


def _server(name: str, entry: Any) -> types.McpStdioServer | types.McpStreamableHttpServer:
    place = f"mcpServers.{name}"
    if not isinstance(entry, Mapping):
        raise InvalidConfigError(f"{place} must be an object, got {entry!r}", field=place)
    transport = entry.get("type", entry.get("transport"))
    if transport is None:
        transport = "stdio" if "command" in entry else "http" if "url" in entry else "nothing"
    try:
        if transport == "stdio":
            return types.McpStdioServer(
                name=name,
                command=entry.get("command"),  # type: ignore[arg-type] # pydantic checks it
                args=entry.get("args", []),
                env=entry.get("env"),
            )
        if transport in _HTTP:
            settings = {key: entry[key] for key in ("headers", "timeout") if key in entry}
            return types.McpStreamableHttpServer(
                name=name,
                url=entry.get("url"),  # type: ignore[arg-type] # as above
                **settings,
            )
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join([place, *map(str, first["loc"])])
        raise InvalidConfigError(f"{where}: {first['msg']}", field=where) from None
    raise InvalidConfigError(
        f"{place} must have a `command` or a `url`, and the type stdio or http, got {transport!r}",
        field=place,
    )


def _expanded(value: Any, place: str) -> Any:
    """Replace references to environment variables in a value of the file."""
    if isinstance(value, dict):
        return {key: _expanded(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, f"{place}.{number}") for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        known = os.environ.get(found[1], found[2])
        if known is None:
            raise InvalidConfigError(
                f"{place} needs the environment variable {found[1]}, which is not set",
                field=place,
            )
        return known

    return _VARIABLE.sub(variable, value)
