"""Build the SDK's configuration object from an `AgentSpec`.

Rule 1: the user's configuration object is never changed; the result is a copy with longer lists.
Rule 2: an agent without policies gets those of `default_policy`.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.antigravity import types
from google.antigravity.connections.connection import AgentConfig, resolve_active_tools
from google.antigravity.connections.local.local_connection_config import LocalAgentConfig
from google.antigravity.hooks import hooks, policy

from agy_nb.errors import InvalidConfigError
from agy_nb.sdk import errors
from agy_nb.sdk.config import default_policy
from agy_nb.sdk.config.changed_config import must_have_fields
from agy_nb.sdk.config.config_checks import check
from agy_nb.sdk.config.conversation_files import files_of
from agy_nb.sdk.config.mcp_result_hook import McpResultHook
from agy_nb.sdk.interfaces.agent_spec import AgentSpec
from agy_nb.sdk.interfaces.approval_request import ApprovalDecision, Gate
from agy_nb.sdk.patches.approval_context import (
    decided_in_hook,
    deny_with,
    note_decision,
    recorded_decision,
    request_of,
)
from agy_nb.sdk.patches.edit_hook import EditHook
from agy_nb.sdk.patches.question_hook import QuestionHook
from agy_nb.sdk.patches.replayed_decisions import asks_gate
from agy_nb.sdk.patches.user_code.policies import contained_predicate, guarded
from agy_nb.sdk.process import temporary_folders

KEY_VARIABLE = "GEMINI_API_KEY"


def has_key() -> bool:
    """Return whether the environment has an API key for the public endpoint."""
    return bool(os.environ.get(KEY_VARIABLE, "").strip())


_ANY = "*"
_QUESTION = types.BuiltinTools.ASK_QUESTION.value
_MODEL_FIELDS = frozenset({"api_key", "model", "models", "vertex", "project", "location"})


def needs_a_model(config: Any) -> bool:
    """Return whether neither the configuration nor the environment names a model."""
    if not names_no_model(config) or has_key():
        return False
    vertex = any(
        os.environ.get(name, "").lower() in {"true", "1"}
        for name in ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")
    )
    return not vertex


def names_no_model(config: Any) -> bool:
    """Return whether a configuration names no model."""
    if config is None:
        return True
    return isinstance(config, Mapping) and not _MODEL_FIELDS.intersection(config)


def build(spec: AgentSpec, gate: Gate | None) -> AgentConfig:
    """Build the SDK's configuration of an agent, with the gate as the handler of all approvals.

    Args:
        spec: The agent; its `config` is the SDK's object, a mapping, or None.
        gate: Decides on tool calls; None denies the calls that rules without a handler ask about.

    Raises:
        InvalidConfigError: The SDK or agy_nb rejects the configuration.
    """
    base = _base(spec.config)
    _must_be_callable("tools", spec.tools, "pass tools=[my_function]")
    _must_be_callable(
        "triggers",
        spec.triggers,
        "pass triggers=[my_function], where my_function is async and takes a TriggerContext",
    )
    policies = list(spec.policies)
    if "policies" in base.model_fields_set:
        policies = [*base.policies, *policies]
    elif not policies:
        policies = _defaults(base, spec)
    base = _with_gateway(base)
    try:
        flat = policy.flatten_policies(policies)
        rules = [_asking(rule, gate) for rule in flat]
        ours = [
            *_answering(spec, base.hooks),
            *([EditHook(rules)] if spec.edits else ()),
            *([McpResultHook()] if getattr(base, "mcp_servers", None) else ()),
        ]
        config = base.model_copy(
            update={
                "tools": [*base.tools, *spec.tools],
                "hooks": [*base.hooks, *spec.hooks, *ours],
                "triggers": [*base.triggers, *spec.triggers],
                "policies": rules,
            }
        )
        check(config, flat)
    except Exception as error:
        raise errors.of_config(error) from error
    _warn_of_subagents(config, flat)
    return config


def _must_be_callable(field: str, functions: Iterable[object], advice: str) -> None:
    for function in functions:
        if not callable(function):
            raise InvalidConfigError(
                f"{field} must be functions, got {function!r}; {advice}", field=field
            )


KEYLESS = "agy-nb-sends-no-key"
"""Key for a gateway whose endpoint has no key: the harness does not start without one."""


def _with_gateway(config: AgentConfig) -> AgentConfig:
    """Complete a configuration whose model is behind a gateway without an API key.

    A gateway, named by an endpoint's `base_url`, holds the keys itself. The SDK adds an image model
    at the public endpoint, which needs a key. It gets the gateway's endpoint instead.
    """
    targets = list(getattr(config, "models", None) or ())
    text = next((each for each in targets if types.ModelType.TEXT in each.types), None)
    gateway = None if text is None else text.endpoint
    if gateway is None or has_key() or not _is_keyless(gateway):
        return config
    endpoint = gateway.model_copy(update={"api_key": KEYLESS})
    changed = [
        each.model_copy(update={"endpoint": endpoint})
        if each is text or _is_public(each.endpoint)
        else each
        for each in targets
    ]
    return config.model_copy(update={"models": changed})


def _is_keyless(endpoint: Any) -> bool:
    gemini = isinstance(endpoint, types.GeminiAPIEndpoint)
    return gemini and bool(endpoint.base_url) and not endpoint.api_key


def _is_public(endpoint: Any) -> bool:
    if endpoint is None:
        return True
    gemini = isinstance(endpoint, types.GeminiAPIEndpoint)
    return gemini and not endpoint.api_key and not (endpoint.base_url or "")


def _defaults(base: AgentConfig, spec: AgentSpec) -> list[Any]:
    """Return the policies of an agent without policies of the user."""
    folders = [*getattr(base, "workspaces", ()), *(base.skills_paths or ())]
    if spec.asks_user:
        return default_policy.with_a_handler(folders, _refuse_all)
    if spec.asks_by_default:
        return default_policy.in_a_notebook(folders, _refuse_all)
    return list(base.policies or ())


def _answering(spec: AgentSpec, given: Sequence[Any]) -> tuple[Any, ...]:
    """Return our hook for the model's questions, unless the user has one."""
    theirs = any(isinstance(hook, hooks.OnInteractionHook) for hook in (*given, *spec.hooks))
    return () if spec.answer is None or theirs else (QuestionHook(spec.answer),)


def _warn_of_subagents(config: AgentConfig, rules: Sequence[policy.Policy]) -> None:
    """Warn about tools of subagents that policies do not cover.

    The harness asks the policies about built-in tools of the root agent only.
    """
    guarded = {
        rule.tool
        for rule in rules
        if rule.decision is not policy.Decision.APPROVE
        and not (rule.name == default_policy.NAME and rule.when)  # the harness contains those
    }
    allowed = {rule.tool for rule in rules if rule.decision is policy.Decision.APPROVE}
    for subagent in config.subagents or []:
        tools = {tool.value for tool in resolve_active_tools(subagent.capabilities)}
        if subagent.capabilities is None:
            tools = set()
        free = sorted(tools & guarded | (tools - allowed if "*" in guarded else set()))
        if free:
            warnings.warn(
                f"policies do not apply to {', '.join(free)} of subagent {subagent.name!r}: the "
                "harness asks about the root agent's built-in tools only. Remove them from the "
                "subagent's capabilities if you do not trust it with them",
                stacklevel=2,
            )


def why_refused(config: AgentConfig) -> InvalidConfigError | None:
    """Look on disk for the reason why the harness rejected a configuration; None if unknown."""
    folder = None if config.save_dir is None else Path(config.save_dir)
    if folder is not None and not _takes_files(folder):
        return InvalidConfigError(
            f"cannot write to save_dir {config.save_dir!r}; use a folder that can be created or "
            "written to",
            field="save_dir",
        )
    name, modes = config.conversation_id, types.SessionContinuationMode
    mode = config.session_continuation_mode or modes.RESUME
    known = folder is not None and name is not None and any(files_of(folder, name))
    given = None if temporary_folders.is_ours(config.save_dir) else config.save_dir
    where = given or "a new folder (no save_dir is given)"
    if name and mode is modes.RESUME and not known:
        return InvalidConfigError(
            f"conversation {name!r} not found in {where}; "
            "pass the save_dir of the conversation, or omit conversation_id",
            field="conversation_id",
        )
    if name and mode is modes.CREATE_ONLY and known:
        return InvalidConfigError(
            f"conversation {name!r} exists already in {where}; resume it, or choose another id",
            field="conversation_id",
        )
    return None


def _takes_files(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _base(config: Any) -> AgentConfig:
    if isinstance(config, AgentConfig):
        return config
    if config is None:
        config = {}
    if not isinstance(config, Mapping):
        raise InvalidConfigError(
            "config must be a LocalAgentConfig (or another configuration of the SDK), a mapping of "
            f"its fields, or None; got {type(config).__name__}",
            field="config",
        )
    must_have_fields(LocalAgentConfig, config)
    try:
        return LocalAgentConfig(**config)
    except Exception as error:
        raise errors.of_config(error) from error


def _asking(rule: policy.Policy, gate: Gate | None) -> policy.Policy:
    """Return a rule whose handler is the gate, if the rule asks and has no handler."""
    if rule.decision is not policy.Decision.ASK_USER:
        return guarded(rule)
    if rule.ask_user is not None and rule.ask_user is not _refuse_all:
        return guarded(rule)
    rule = contained_predicate(rule)
    return replace(rule, ask_user=_handler(gate, about_all=rule.tool == _ANY))


def _refuse_all(call: types.ToolCall, reason: str | None = None) -> bool:
    del call, reason
    return False


_NOBODY = ApprovalDecision(
    allowed=False,
    reason="there is no approval handler: the agent was created without ask_user=",
    decided_by="default",
)


def _handler(gate: Gate | None, *, about_all: bool) -> Any:
    """Return the handler of a rule that asks the gate.

    Args:
        gate: Decides; None denies.
        about_all: Whether the rule is for all tools. The tool that asks the user a question then
            needs no approval, because the same user would be asked twice.
    """

    async def decide(call: types.ToolCall, reason: str = "") -> bool:
        if (known := decided_in_hook(call)) is not None:
            return known.allowed
        recorded = recorded_decision()
        if about_all and call.name == _QUESTION and not call.server_name:
            decision = recorded or ApprovalDecision(allowed=True)
        elif gate is None:
            decision = recorded or _NOBODY
        else:
            decision = await gate(replace(request_of(call, reason or ""), recorded=recorded))
            note_decision(decision)
        if not decision.allowed:
            deny_with(decision.reason)
        return decision.allowed

    return asks_gate(decide)


def quota_key_of(config: AgentConfig) -> str:
    """Return the key of the text model's quota: the service and the API key.

    The same API key may be used with two services, e.g. a gateway and the public endpoint. Vertex
    counts per project and location.
    """
    for target in getattr(config, "models", None) or []:
        if types.ModelType.TEXT in target.types and target.endpoint is not None:
            return _joined(target.endpoint, ("base_url", "project", "location", "api_key"))
    named = _joined(config, ("base_url", "project", "location", "api_key"))
    return named if getattr(config, "api_key", None) else named + os.environ.get(KEY_VARIABLE, "")


def _joined(source: Any, names: Sequence[str]) -> str:
    return "\n".join(str(getattr(source, name, None) or "") for name in names)
