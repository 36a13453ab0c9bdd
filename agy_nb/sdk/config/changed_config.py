"""The configuration of a forked agent: that of its parent, with the user's changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from agy_nb.errors import InvalidConfigError

_OF_THE_PARENT = ("conversation_id", "session_continuation_mode")
_ARGUMENTS = ("ask_user", "config", "labels")
"""Arguments of `create_agent` that are not fields."""
_SEE = "see help(agy.create_agent)"
_OTHER_CLASSES = {
    "base_url": "pass LocalOpenAIAgentConfig(base_url=...) as the configuration",
    "model_path": "pass LiteRTAgentConfig(model_path=...) as the configuration",
}
"""What to do about fields that only other classes of the SDK have."""


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
    return merged(config, changes) if isinstance(changes, Mapping) else changes


def merged(config: Any, changes: Mapping[str, Any]) -> Any:
    """Return a configuration in which some fields are replaced.

    The name of a model keeps the endpoint and the key of the configuration's model.

    Args:
        config: The SDK's object, a mapping of its fields, or None.
        changes: The fields that differ.

    Raises:
        InvalidConfigError: The configuration has no such field, or the SDK rejects the changes.
    """
    changes = _with_model_name(config, changes)
    if config is None or isinstance(config, Mapping):
        return {**(config or {}), **changes}
    must_have_fields(type(config), changes)
    given = {name: getattr(config, name) for name in config.model_fields_set}
    try:
        return type(config)(**{**given, **changes})
    except Exception as error:
        from agy_nb.sdk import errors  # imports the SDK, as the configuration did

        raise errors.of_config(error) from error


def _with_model_name(base: Any, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return changes in which the name of a model keeps the endpoint and the key of the base."""
    targets = value_of(base, "models")
    given = isinstance(base, Mapping) or "models" in getattr(base, "model_fields_set", ())
    name = changes.get("model")
    if not isinstance(name, str) or not targets or not given or "models" in changes:
        return changes
    renamed = [
        each.model_copy(update={"name": name}) if _answers_with_text(each) else each
        for each in targets
    ]
    return {**{key: value for key, value in changes.items() if key != "model"}, "models": renamed}


def _answers_with_text(target: Any) -> bool:
    return any(getattr(kind, "value", kind) == "text" for kind in target.types)


def must_have_fields(kind: type, names: Iterable[object]) -> None:
    """Reject names that are not fields of a class of configurations.

    Args:
        kind: The SDK's class.
        names: The names to check.

    Raises:
        InvalidConfigError: A name is unknown; the message has the nearest one.
    """
    fields: Mapping[str, Any] = kind.model_fields  # type: ignore[attr-defined]
    unknown = sorted(map(str, set(names) - set(fields)))
    if unknown:
        near = get_close_matches(unknown[0], [*fields, *_ARGUMENTS], n=1)
        meant = _OTHER_CLASSES.get(unknown[0]) or (f"did you mean {near[0]!r}?" if near else _SEE)
        raise InvalidConfigError(
            f"{kind.__name__} of the SDK has no field {unknown[0]!r}; {meant}", field=unknown[0]
        )


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
