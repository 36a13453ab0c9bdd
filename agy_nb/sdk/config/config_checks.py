"""Reject configurations that the SDK accepts, but that the harness rejects later or ignores.

The harness reports these faults as text during the first turn, or not at all: a policy for a tool
that does not exist denies nothing. Here each of them is an `InvalidConfigError` when the agent is
created.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from google.antigravity import types
from google.antigravity.hooks import policy

from agy_nb.errors import InvalidConfigError

if TYPE_CHECKING:
    from google.antigravity.connections.connection import AgentConfig

_BUILTIN = frozenset(tool.value for tool in types.BuiltinTools)
_HARNESS_ONLY = frozenset({"skill_lookup", "start_subagent"})
"""Tools of the harness that the SDK does not list."""
_ANY = "*"
_DATA = frozenset({"const", "default", "enum", "examples"})
"""Keywords of a JSON schema whose values are data, not schemas."""


def check(config: AgentConfig, policies: Sequence[policy.Policy]) -> None:
    """Check a configuration for settings that cannot work.

    Args:
        config: The SDK's configuration, with the agent's tools in it.
        policies: The agent's policies, flattened.

    Raises:
        InvalidConfigError: A setting cannot work; `field` names it.
    """
    tools = [_name_of(tool) for tool in config.tools or ()]
    _check_unique("tools", "tool", tools)
    if taken := sorted(_BUILTIN.intersection(tools)):
        raise InvalidConfigError(
            f"the tool {taken[0]!r} has the same name as a built-in tool; rename your function",
            field="tools",
        )
    _check_unique("subagents", "subagent", [sub.name for sub in config.subagents or ()])
    _check_unique("mcp_servers", "MCP server", [srv.name for srv in config.mcp_servers or ()])
    for path in config.skills_paths or ():
        if not Path(path).expanduser().is_dir():
            raise InvalidConfigError(
                f"skills folder not found: {path!r}; correct the path", field="skills_paths"
            )
    for trigger in config.triggers or ():
        _check_trigger(trigger)
    _check_schema(config)
    _check_policies(config, policies, tools)


def _name_of(tool: object) -> str:
    return str(getattr(tool, "__name__", ""))


def _check_unique(field: str, what: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if name and count > 1:
            raise InvalidConfigError(
                f"{count} {what}s have the same name {name!r}; rename all but one", field=field
            )


def _check_trigger(trigger: object) -> None:
    if not getattr(trigger, "__qualname__", "").startswith("on_file_change."):
        return
    if "watchfiles" not in sys.modules and find_spec("watchfiles") is None:
        raise InvalidConfigError(
            "on_file_change() needs the package watchfiles; install it with "
            "`pip install 'agy-nb[files]'`",
            field="triggers",
        )


def _check_schema(config: AgentConfig) -> None:
    schema = getattr(config, "response_schema", None)
    if not isinstance(schema, str):
        return
    # Imported here because they are slow to import, and few agents have a schema.
    import jsonschema
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    parsed = json.loads(schema)
    validator = jsonschema.validators.validator_for(parsed, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(parsed)
    except jsonschema.SchemaError as error:
        where = ".".join(map(str, error.absolute_path)) or "the schema"
        raise InvalidConfigError(
            f"response_schema is not a JSON schema: {where}: {error.message}",
            field="response_schema",
        ) from error
    root = Resource.from_contents(parsed, default_specification=DRAFT202012)
    resolver = Registry().resolver_with_root(root)
    for reference in _references(parsed):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise InvalidConfigError(
                f"response_schema refers to {reference!r}, which it does not define; "
                "add the definition under $defs",
                field="response_schema",
            ) from error


def _references(schema: object) -> Iterator[str]:
    """Iterate over a schema's references to its own definitions."""
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        target = schema.get("$ref")
        if isinstance(target, str) and target.startswith("#"):
            yield target
        for key, value in schema.items():
            if key not in _DATA:
                yield from _references(value)


def _check_policies(
    config: AgentConfig, policies: Sequence[policy.Policy], tools: Sequence[str]
) -> None:
    servers = [server.name for server in config.mcp_servers or ()]
    known = {_ANY, *_BUILTIN, *_HARNESS_ONLY, *tools}
    for sub in config.subagents or ():
        known.update(each if isinstance(each, str) else _name_of(each) for each in sub.tools or ())
    for rule in policies:
        name = str(rule.tool)
        if not name.strip():
            raise InvalidConfigError(
                "a policy has an empty tool name; use a name, or '*' for all tools",
                field="policies",
            )
        of_server = bool(servers) and any(server in name for server in servers)
        if name not in known and not of_server:
            near = get_close_matches(name, known, n=1)
            raise InvalidConfigError(
                f"a policy names the tool {name!r}, which this agent does not have"
                + (f"; did you mean {near[0]!r}?" if near else "; correct or remove the policy"),
                field="policies",
            )
    only_workspaces = any(rule.name == policy.WORKSPACE_ONLY_POLICY_NAME for rule in policies)
    if only_workspaces and not getattr(config, "workspaces", True):
        raise InvalidConfigError(
            "workspace_only() allows files in `workspaces`, but this configuration has no "
            "workspaces; add at least one folder",
            field="workspaces",
        )
