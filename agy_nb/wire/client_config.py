"""What a client's first frame says of its agent: models, tools, rules and folders."""

from __future__ import annotations

from agy_nb.wire.frames import (
    API_RETRY,
    APP_DATA,
    ASK_USER,
    CONFIG,
    CONVERSATION_ID,
    DECISION,
    DENY_REASON,
    DENYING_RULE,
    ENDPOINTS,
    MAX_RETRIES,
    NAME,
    POLICY_CONFIG,
    POLICY_REQUEST,
    RETRY,
    RULE_DENY,
    RULE_ID,
    SERVICE_TIER,
    SKILLS_PATHS,
    SUBAGENTS,
    TEXT_MODEL,
    UNMATCHED_TOOL,
    WORKSPACE,
    Frame,
)
from agy_nb.wire.json_values import list_of, number_of, object_of, objects_of, text_of


def _config(frame: Frame) -> Frame:
    return object_of(frame.get(CONFIG))


def conversation_of(config: Frame) -> str:
    """Return the conversation id that the client asked for; empty if the harness chooses."""
    return text_of(_config(config).get(CONVERSATION_ID))


def paths_of(config: Frame) -> dict[str, str]:
    """Return the folders that a configuration names, by what they are for.

    They differ from run to run and occur again in other frames.
    """
    body = _config(config)
    found = {}
    for number, item in enumerate(objects_of(body.get("workspaces"))):
        directory = object_of(item.get(WORKSPACE)).get("directory")
        if directory:
            found[f"workspace:{number}"] = str(directory)
    for number, path in enumerate(list_of(body.get(SKILLS_PATHS))):
        found[f"skills:{number}"] = str(path)
    if body.get(APP_DATA):
        found["app-data"] = str(body[APP_DATA])
    return found


def workspaces_of(config: Frame) -> tuple[str, ...]:
    """Return the folders that the agent works in."""
    return tuple(path for name, path in paths_of(config).items() if name.startswith("workspace:"))


def models_of(config: Frame) -> tuple[Frame, ...]:
    """Return the models of a configuration."""
    return tuple(objects_of(_config(config).get("models")))


def text_model_of(config: Frame) -> tuple[str | None, str | None]:
    """Return name and endpoint of the text model; None if the configuration has none."""
    for model in models_of(config):
        if TEXT_MODEL in (list_of(model.get("types")) or [TEXT_MODEL]):
            endpoint = next((word for key, word in ENDPOINTS.items() if key in model), None)
            return text_of(model.get(NAME)) or None, endpoint
    return None, None


def max_retries_of(config: Frame) -> int | None:
    """Return the maximum retries of a model call; None if the configuration has none."""
    api = object_of(object_of(_config(config).get(RETRY)).get(API_RETRY))
    return max(0, number_of(api[MAX_RETRIES])) if MAX_RETRIES in api else None


def host_tools_of(config: Frame) -> tuple[str, ...]:
    """Return the names of the host functions of a configuration."""
    return tuple(text_of(tool.get(NAME)) for tool in objects_of(_config(config).get("tools")))


def service_tier_of(config: Frame) -> str | None:
    """Return the service tier of the text model; None where the configuration names none."""
    for model in models_of(config):
        if TEXT_MODEL in (list_of(model.get("types")) or [TEXT_MODEL]):
            endpoints = (object_of(model.get(key)) for key in ENDPOINTS)
            options = (object_of(endpoint.get("options")) for endpoint in endpoints)
            tiers = (text_of(each.get(SERVICE_TIER)) for each in options)
            return next(filter(None, tiers), None)
    return None


def subagent_models_of(config: Frame) -> dict[str, str | None]:
    """Return the models of the configured subagents by name; None for one that has the agent's."""
    found = {}
    for each in objects_of(_config(config).get(SUBAGENTS)):
        model = each.get("model")
        found[text_of(each.get(NAME))] = text_of(object_of(model).get(NAME) or model) or None
    return found


def rules_of(config: Frame) -> tuple[Frame, ...]:
    """Return the policy rules of a configuration."""
    return tuple(objects_of(object_of(_config(config).get(POLICY_CONFIG)).get("rules")))


def asks_a_person(config: Frame, request: Frame) -> bool:
    """Return whether a policy request is one for a person rather than for a predicate."""
    rule_id = object_of(request.get(POLICY_REQUEST)).get(RULE_ID)
    return any(
        rule.get(RULE_ID) == rule_id and rule.get(DECISION) == ASK_USER for rule in rules_of(config)
    )


def denied_tool(config: Frame, label: str) -> str | None:
    """Return the tool that a rule refused, from the harness's words; None if unknown."""
    unmatched = UNMATCHED_TOOL.search(label)
    if unmatched is not None:
        return unmatched["tool"]
    found = DENYING_RULE.search(label)
    for rule in rules_of(config):
        if rule.get(DECISION) != RULE_DENY:
            continue
        named = found is not None and rule.get(NAME) == found["name"]
        tool = text_of(rule.get("tool"))
        if (named or (label and label == rule.get(DENY_REASON))) and tool != "*":
            return tool
    return None
