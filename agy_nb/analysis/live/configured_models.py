"""The models of a live agent: its own and those of its subagents, from its configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agy_nb.protocol.events import SessionConfigured

_ENDPOINTS = ("gemini", "vertex", "openai", "litert", "interactions")


@dataclass(frozen=True, slots=True)
class ConfiguredModels:
    """The models of an agent.

    Attributes:
        model: Name of its model, None if unknown.
        source: How that is known, as in `model_source`.
        endpoint: Kind of the model's endpoint, None if unknown.
        service_tier: Service tier that it asks for, None for the default.
        subagents: Models of the configured subagents by name; None for one that inherits.
    """

    model: str | None = None
    source: str = "unknown"
    endpoint: str | None = None
    service_tier: str | None = None
    subagents: Mapping[str, str | None] = field(default_factory=dict)


def models_of_config(config: Any) -> ConfiguredModels:
    """Read the models in a configuration: one of the SDK's classes, a mapping, or None."""
    model, endpoint = model_of(config)
    source = "config"
    if model is None and (config is None or isinstance(config, Mapping)):
        model, source = default_model(), "default"
    target = next(_text_models(config), None)
    tier = _get(_get(_get(target, "endpoint"), "options"), "service_tier")
    return ConfiguredModels(
        model=model,
        source=source,
        endpoint=endpoint,
        service_tier=None if tier is None else str(getattr(tier, "value", tier)),
        subagents={
            str(_get(each, "name")): _get(each, "model") for each in _get(config, "subagents") or ()
        },
    )


def models_of_event(event: SessionConfigured) -> ConfiguredModels:
    """Read the models that the harness got: also a default one, and the local echo model."""
    return ConfiguredModels(
        model=event.model,
        source="config",
        endpoint=event.endpoint,
        service_tier=event.service_tier,
        subagents=event.subagents,
    )


def model_of(config: Any) -> tuple[str | None, str | None]:
    """Return the name and the endpoint of a configuration's text model, if it has them."""
    for target in _text_models(config):
        server = type(_get(target, "endpoint")).__name__.lower()
        found = next((word for word in _ENDPOINTS if word in server), None)
        return _get(target, "name"), found
    model = _get(config, "model")
    return (model, None) if isinstance(model, str) else (None, None)


def _text_models(config: Any) -> Iterator[Any]:
    for target in _get(config, "models") or ():
        kinds = [str(getattr(kind, "value", kind)) for kind in _get(target, "types") or ("text",)]
        if "text" in kinds:
            yield target


def default_model() -> str | None:
    """Return the model of a configuration that names none; known once the SDK is loaded."""
    return getattr(sys.modules.get("google.antigravity.models"), "DEFAULT_MODEL", None)


def conversation_of_config(config: Any) -> str | None:
    """Return the conversation that a configuration continues with, None for a new one."""
    found = _get(config, "conversation_id")
    return str(found) if found else None


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
