"""What a rerun takes from a recorded configuration when the user does not vouch for the cassette.

A configuration can start programs (MCP servers, hooks of the harness, commands that a rule allows),
read folders and send text to addresses. Without `--trust` only fields that do nothing of this are
passed on: a list of safe fields, so that a field of a later SDK is left out until it is known.
Host tools stay, as a rerun answers their calls from the recording and runs none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agy_nb.cassette.storage.format import Frame
from agy_nb.wire import frames as f
from agy_nb.wire.json_values import list_of, object_of, objects_of

_SAFE = frozenset(
    {"models", "tools", "workspaces", f.AGENT_BEHAVIOR, f.APP_DATA, f.BUDGET, f.COMPACTION_CONFIG,
     f.COMPACTION_THRESHOLD, f.CONTINUATION_MODE, f.FINISH_SCHEMA, f.HARNESS_TOOLS, f.INSTRUCTIONS,
     f.MCP_OUTPUT_BYTES, f.RETRY, f.TRUNCATION}
)  # fmt: skip
_HANDLED = frozenset({f.CONVERSATION_ID, f.POLICY_CONFIG})
_EXPLAINED = frozenset({f.ENABLED_HOOKS, f.MCP_SERVERS})
_KEYS = frozenset({"GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_API_KEY"})
_PASSED = frozenset(
    {"ALL_PROXY", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LC_ALL", "NO_PROXY", "PATH",
     "SSL_CERT_DIR", "SSL_CERT_FILE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "USERPROFILE"}
)  # fmt: skip
_HOOK = f.BEFORE_TOOL.removesuffix("PRE_TOOL")
_CONVERSATION = re.compile(r"[\w-]{1,128}")
_ALLOWED = ("ask_question", "finish")
"""Tools of the harness that do nothing but take an answer of the client, or the output."""
_DENY_THE_REST = {
    "tool": "*", f.SERVER_NAME: "", f.NAME: "not trusted", f.DECISION: f.RULE_DENY,
    f.DENY_REASON: "the cassette is not trusted", f.DYNAMIC: False, f.RULE_ID: "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Restricted:
    """A recorded configuration that may be untrusted.

    Attributes:
        config: The frame to send.
        refused: The parts that were left out, one line each.
    """

    config: Frame
    refused: tuple[str, ...]


def restricted(config: Frame) -> Restricted:
    """Return a recorded configuration without what needs trust.

    Args:
        config: The frame that opened the recorded session.
    """
    body = object_of(config.get(f.CONFIG))
    kept = {name: value for name, value in body.items() if name in _SAFE}
    harmless = [_DENY_THE_REST | _allowing(tool) for tool in _ALLOWED]
    kept[f.POLICY_CONFIG] = {"rules": [*_rules_of_host_tools(body), *harmless, _DENY_THE_REST]}
    if _CONVERSATION.fullmatch(str(body.get(f.CONVERSATION_ID) or "")):
        kept[f.CONVERSATION_ID] = body[f.CONVERSATION_ID]
    return Restricted({f.CONFIG: kept}, tuple(_refusals(body)))


def harness_environ(environ: Mapping[str, str], *, trust: bool) -> dict[str, str]:
    """Return the environment of the harness of a rerun, and of the processes that it starts.

    The model's key is never there: it goes to the model's address with the configuration.

    Args:
        environ: The environment of this process.
        trust: Whether the user vouches for the cassette: only then all other variables are passed.
    """
    if trust:
        return {name: value for name, value in environ.items() if name not in _KEYS}
    return {name: value for name, value in environ.items() if name.upper() in _PASSED}


def _allowing(tool: str) -> dict[str, Any]:
    decision = f"{f.DECISION_PREFIX}ALLOW"
    return {"tool": tool, f.NAME: "recorded", f.DECISION: decision, f.DENY_REASON: ""}


def _rules_of_host_tools(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the recorded rules about tools that a rerun does not run."""
    tools = [str(tool.get("name", "")) for tool in objects_of(body.get("tools"))]
    policies = object_of(body.get(f.POLICY_CONFIG))
    rules = [rule for rule in objects_of(policies.get("rules")) if not rule.get(f.SERVER_NAME)]
    if not rules:
        rules = [{"tool": "*", f.NAME: "recorded", f.DECISION: f"{f.DECISION_PREFIX}ALLOW"}]
    for tool in tools:
        mine = [rule for rule in rules if rule.get("tool") == tool]
        if all(rule.get(f.DYNAMIC) for rule in mine):  # else no wildcard is ever reached
            mine += [rule | {"tool": tool} for rule in rules if rule.get("tool") == "*"]
        yield from mine


def _refusals(body: dict[str, Any]) -> Iterator[str]:
    for server in objects_of(body.get(f.MCP_SERVERS)):
        start = object_of(server.get("stdio"))
        address = object_of(server.get("http")).get("url")
        command = " ".join(map(str, (start.get("command", ""), *list_of(start.get("args")))))
        what = f"connected to: {address}" if address else f"started: {command}"
        yield f"the MCP server {str(server.get('name', ''))!r} is not {what}"
    hooks = [str(hook).removeprefix(_HOOK) for hook in list_of(body.get(f.ENABLED_HOOKS))]
    if hooks:
        yield f"recorded answers of hooks are not given: {', '.join(hooks)}"
    policies = object_of(body.get(f.POLICY_CONFIG))
    allowing = [rule for rule in objects_of(policies.get("rules")) if _allows_more(rule, body)]
    names = ", ".join(repr(str(rule.get("name") or rule.get("tool"))) for rule in allowing)
    if names:
        yield f"rules of the recording that allow built-in or MCP tools do not count: {names}"
    if object_of(policies.get(f.AUTO_CONFIG)).get("enabled"):
        yield "the recorded automatic policy does not count"
    others = sorted(name for name in body if name not in _SAFE | _HANDLED | _EXPLAINED)
    others = [name for name in others if body[name]]
    if others:
        yield f"recorded settings are left out: {', '.join(others)}"


def _allows_more(rule: dict[str, Any], body: dict[str, Any]) -> bool:
    """Return whether a rule may allow a tool that is not a host tool."""
    if rule.get(f.DECISION) == f.RULE_DENY:
        return False
    tools = {tool.get("name") for tool in objects_of(body.get("tools"))}
    return bool(rule.get(f.SERVER_NAME)) or rule.get("tool") not in tools
