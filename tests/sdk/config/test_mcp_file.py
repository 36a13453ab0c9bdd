"""MCP servers from an `mcp.json`."""

import json

import pytest
from google.antigravity import types

import agy_nb as agy


@pytest.fixture
def written(tmp_path):
    def write(servers, key="mcpServers"):
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({key: servers}), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("key", ["mcpServers", "servers"])
def test_transport_is_inferred(written, key):
    path = written(
        {
            "files": {"command": "mcp-files", "args": ["."], "env": {"MODE": "read"}},
            "web": {"url": "https://example.org/mcp", "headers": {"X-Team": "a"}},
            "named": {"type": "streamable-http", "url": "https://example.org/other"},
            "off": {"command": "x", "disabled": True},
        },
        key,
    )
    files, web, named = agy.load_mcp_servers(path)
    assert files == types.McpStdioServer(
        name="files", command="mcp-files", args=["."], env={"MODE": "read"}
    )
    assert (web.name, web.url, web.headers) == ("web", "https://example.org/mcp", {"X-Team": "a"})
    assert named.type == "http"


def test_variables_of_the_environment_are_filled_in(written, monkeypatch):
    monkeypatch.setenv("TEAM", "blue")
    monkeypatch.delenv("NO_SUCH", raising=False)
    path = written({"x": {"command": "run", "args": ["${TEAM}", "${env:TEAM}", "${NO_SUCH:-b}"]}})
    assert agy.load_mcp_servers(path)[0].args == ["blue", "blue", "b"]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({}, "mcpServers.x"),
        ("mcp-files", "mcpServers.x"),
        ({"type": "sse", "url": "https://example.org"}, "mcpServers.x"),
        ({"command": 5}, "mcpServers.x.command"),
        ({"command": "x", "args": "a b"}, "mcpServers.x.args"),
        ({"type": "http"}, "mcpServers.x.url"),
        ({"command": "x", "env": {"A": "${NO_SUCH_VARIABLE}"}}, "mcpServers.x.env.A"),
    ],
)
def test_entry_that_is_wrong_is_refused_by_its_place(written, entry, field):
    with pytest.raises(agy.errors.InvalidConfigError) as raised:
        agy.load_mcp_servers(written({"x": entry}))
    assert raised.value.field == field


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mcpServers": []}'])
def test_file_of_another_form_is_refused(tmp_path, text):
    path = tmp_path / "mcp.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(agy.errors.InvalidConfigError, match=r"mcp\.json"):
        agy.load_mcp_servers(path)


def test_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(agy.errors.InvalidConfigError, match="cannot read"):
        agy.load_mcp_servers(tmp_path / "none.json")
