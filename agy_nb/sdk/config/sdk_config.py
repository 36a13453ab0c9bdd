"""From an `AgentSpec` to the SDK's own configuration object.

Rule 1: the SDK's objects pass through untouched; we add to its lists, we do not translate them.
Rule 2: a user who gives no policies gets those of `default_policy`.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from google.antigravity import types
from google.antigravity.connections.connection import AgentConfig, resolve_active_tools
from google.antigravity.connections.local.local_connection_config import LocalAgentConfig
from google.antigravity.hooks import hooks, policy

from agy_nb.errors import InvalidConfigError
from agy_nb.sdk import errors
from agy_nb.sdk.config import default_policy
from agy_nb.sdk.config.config_checks import check
from agy_nb.sdk.interfaces import AgentSpec, ApprovalDecision, Gate
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
    """Whether the environment holds a key for the public endpoint."""
    return bool(os.environ.get(KEY_VARIABLE, "").strip())


_ANY = "*"
_QUESTION = types.BuiltinTools.ASK_QUESTION.value
_MODEL_FIELDS = frozenset({"api_key", "model", "models", "vertex", "project", "location"})


def needs_a_model(config: Any) -> bool:
    """Whether neither the configuration nor the environment says which model to use."""
    if not names_no_model(config) or has_key():
        return False
    vertex = any(
        os.environ.get(name, "").lower() in {"true", "1"}
        for name in ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")
    )
    return not vertex


def names_no_model(config: Any) -> bool:
    """Whether a configuration leaves it open which model is used."""
    if config is None:
        return True
    return isinstance(config, Mapping) and not _MODEL_FIELDS.intersection(config)


def build(spec: AgentSpec, gate: Gate | None) -> AgentConfig:
    """The SDK's configuration for a spec, with every approval led to the gate.

    Args:
        spec: What the agent is made of; its `config` is the SDK's object, a mapping, or None.
        gate: Decides on tool calls; None leaves rules without a handler as the SDK has them.

    Raises:
        InvalidConfigError: The SDK refuses it, or it is neither of the three.
    """
    base = _base(spec.config)
    for tool in spec.tools:
        if not callable(tool):
            raise InvalidConfigError(f"tools must be functions, got {tool!r}", field="tools")
    policies = list(spec.policies)
    if "policies" in base.model_fields_set:
        policies = [*base.policies, *policies]
    elif not policies:
        policies = _defaults(base, spec)
    base = _with_gateway(base)
    try:
        flat = policy.flatten_policies(policies)
        rules = [_asking(rule, gate) for rule in flat]
        ours = [*_answering(spec, base.hooks), *([EditHook(rules)] if spec.edits else ())]
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


NO_KEY = "agy-nb-sends-no-key"
"""Sent to a gateway whose endpoint names no key: the harness does not start without one."""


def _with_gateway(config: AgentConfig) -> AgentConfig:
    """The configuration, with what a gateway without a key needs.

    A gateway, which an endpoint's `base_url` names, holds the keys itself. The image model that the
    SDK adds by itself would be asked for at the public endpoint, which needs a key; it uses the
    gateway, too.
    """
    targets = list(getattr(config, "models", None) or ())
    text = next((each for each in targets if types.ModelType.TEXT in each.types), None)
    gateway = None if text is None else text.endpoint
    if gateway is None or has_key() or not _is_keyless(gateway):
        return config
    endpoint = gateway.model_copy(update={"api_key": NO_KEY})
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
    """The rules where the user gives none."""
    folders = [*getattr(base, "workspaces", ()), *(base.skills_paths or ())]
    if spec.asks_user:
        return default_policy.with_a_handler(folders, _refuse_all)
    if spec.asks_by_default:
        return default_policy.in_a_notebook(folders, _refuse_all)
    return list(base.policies or ())


def _answering(spec: AgentSpec, given: Sequence[Any]) -> tuple[Any, ...]:
    """Our hook for the model's questions, where the user has none."""
    theirs = any(isinstance(hook, hooks.OnInteractionHook) for hook in (*given, *spec.hooks))
    return () if spec.answer is None or theirs else (QuestionHook(spec.answer),)


def _warn_of_subagents(config: AgentConfig, rules: Sequence[policy.Policy]) -> None:
    """Say which of a subagent's tools no policy reaches: the harness asks for the root's only."""
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
                f"subagent {subagent.name!r} has {', '.join(free)} without any policy: the harness "
                "asks about the root agent's built-in tools only. Leave them out of its "
                "capabilities, or trust it with them",
                stacklevel=2,
            )


def why_refused(config: AgentConfig) -> InvalidConfigError | None:
    """What the harness may have refused in a configuration, told from the disk; None if nothing."""
    folder = None if config.save_dir is None else Path(config.save_dir)
    if folder is not None and not _takes_files(folder):
        return InvalidConfigError(
            f"the harness cannot write to save_dir {config.save_dir!r}; "
            "name a folder that it can make or write to",
            field="save_dir",
        )
    name, modes = config.conversation_id, types.SessionContinuationMode
    mode = config.session_continuation_mode or modes.RESUME
    known = folder is not None and name is not None and any(files_of(folder, name))
    given = None if temporary_folders.is_ours(config.save_dir) else config.save_dir
    where = given or "a new folder (no save_dir is given)"
    if name and mode is modes.RESUME and not known:
        return InvalidConfigError(
            f"there is no conversation {name!r} in {where}; "
            "give the save_dir that it was saved to, or leave conversation_id out",
            field="conversation_id",
        )
    if name and mode is modes.CREATE_ONLY and known:
        return InvalidConfigError(
            f"conversation {name!r} exists in {where} already; resume it, or choose another id",
            field="conversation_id",
        )
    return None


_FILE_ENDINGS = (".db", ".db-wal", ".db-shm", ".db-journal")
"""Of the SQLite file that the harness keeps a conversation in, and what SQLite puts beside it."""


def files_of(folder: Path, conversation_id: str) -> list[Path]:
    """The files of one conversation in a `save_dir`, and of no other whose id begins like it."""
    paths = [folder / f"{conversation_id}{ending}" for ending in _FILE_ENDINGS]
    return [path for path in paths if path.is_file()]


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
    unknown = sorted(set(config) - set(LocalAgentConfig.model_fields))
    if unknown:
        near = get_close_matches(str(unknown[0]), LocalAgentConfig.model_fields, n=1)
        meant = f"did you mean {near[0]!r}" if near else "see the SDK's own documentation"
        raise InvalidConfigError(
            f"the SDK's LocalAgentConfig has no field {unknown[0]!r}; {meant}",
            field=str(unknown[0]),
        )
    try:
        return LocalAgentConfig(**config)
    except Exception as error:
        raise errors.of_config(error) from error


def _asking(rule: policy.Policy, gate: Gate | None) -> policy.Policy:
    """The same rule; one that asks, and has no handler of its own, asks the gate."""
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
    """What leads a rule that asks to the gate.

    Args:
        gate: Decides; None denies.
        about_all: Whether the rule names no tool. A question to the user then needs no permission:
            whoever would be asked for it is asked the question.
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
    """What the quota of the agent's text model is counted by: the service and the key.

    One key may be used with two services, as a gateway and the public endpoint, and Vertex counts
    by project and location.
    """
    for target in getattr(config, "models", None) or []:
        if types.ModelType.TEXT in target.types and target.endpoint is not None:
            return _joined(target.endpoint, ("base_url", "project", "location", "api_key"))
    named = _joined(config, ("base_url", "project", "location", "api_key"))
    return named if getattr(config, "api_key", None) else named + os.environ.get(KEY_VARIABLE, "")


def _joined(source: Any, names: Sequence[str]) -> str:
    return "\n".join(str(getattr(source, name, None) or "") for name in names)
