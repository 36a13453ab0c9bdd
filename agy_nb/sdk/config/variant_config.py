"""The configuration of a variant in a comparison: a base with the variant's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.antigravity import LocalAgentConfig
from google.antigravity.connections.connection import AgentConfig

from agy_nb.sdk.config.changed_config import changed


def is_config(value: object) -> bool:
    """Return whether a value is one of the SDK's configurations."""
    return isinstance(value, AgentConfig)


def fields_of(config: Any) -> frozenset[str]:
    """Return the names of a configuration's fields; those of the default class for a mapping."""
    kind = type(config) if is_config(config) else LocalAgentConfig
    return frozenset(kind.model_fields)


def with_settings(base: Any, settings: Mapping[str, Any]) -> Any:
    """Return a configuration with the settings of a variant.

    A model that the variant names keeps the endpoint and the key of the base's model.

    Args:
        base: The SDK's object, a mapping of its fields, or None.
        settings: The fields that differ.

    Raises:
        InvalidConfigError: The SDK rejects a setting.
    """
    return changed(base, settings)
