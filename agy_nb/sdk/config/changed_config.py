"""The configuration of a forked agent: that of its parent, with the user's changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from agy_nb.errors import InvalidConfigError

_OF_THE_PARENT = ("conversation_id", "session_continuation_mode")


def changed(config: Any, changes: Any) -> Any:
    """Return a configuration with changes.

    Args:
        config: The parent's configuration: the SDK's object, a mapping of its fields, or None.
        changes: A mapping of the fields that differ, the SDK's object to use instead, or None.

    Raises:
        InvalidConfigError: The changes name a conversation, or the SDK rejects them.
    """
    if changes is None:
        return config
    for name in _OF_THE_PARENT:
        if value_of(changes, name):
            raise InvalidConfigError(
                f"config must not set {name}: a fork continues the conversation of its parent",
                field=name,
            )
    if not isinstance(changes, Mapping):
        return changes
    if config is None or isinstance(config, Mapping):
        return {**(config or {}), **changes}
    unknown = sorted(set(changes) - set(type(config).model_fields))
    if unknown:
        msg = f"{type(config).__name__} of the SDK has no field {unknown[0]!r}"
        raise InvalidConfigError(msg, field=str(unknown[0]))
    given = {name: getattr(config, name) for name in config.model_fields_set}
    try:
        return type(config)(**{**given, **changes})
    except Exception as error:
        from agy_nb.sdk import errors  # imports the SDK, as the configuration did

        raise errors.of_config(error) from error


def value_of(config: Any, name: str) -> Any:
    """Return a field of a configuration, None where it is not set."""
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def workspaces_of(config: Any) -> list[str] | None:
    """Return the workspaces of a configuration, None for the SDK's default, the working folder.

    Raises:
        InvalidConfigError: They are not folders.
    """
    folders = value_of(config, "workspaces")
    if folders is None:
        return None
    if isinstance(folders, str | os.PathLike):
        folders = [folders]
    try:
        return [os.fspath(folder) for folder in folders]
    except TypeError:
        raise InvalidConfigError(
            f"workspaces must be folders, got {folders!r}", field="workspaces"
        ) from None
