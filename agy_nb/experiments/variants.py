"""Read the variants that a user passes: settings, configurations of the SDK, or functions."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from agy_nb.errors import InvalidInputError
from agy_nb.experiments.plan import Variant, check_name
from agy_nb.experiments.settings_digest import settings_digest
from agy_nb.sdk.config.changed_config import value_of

OPTIONS = ("ask_user", "labels")
"""Arguments of `create_agent` that are not fields of the SDK's configuration."""

_LISTS = ("tools", "policies", "hooks", "triggers")
"""Arguments of `create_agent` that are fields of the SDK's configuration as well."""

_PAIR = 2
_CONVERSATION = "conversation_id"


@dataclass(frozen=True, slots=True)
class _Base:
    config: Any
    options: Mapping[str, Any]


def named_variants(variants: object) -> dict[str, Any]:
    """Return the variants of a comparison by name, without a look at their settings.

    Args:
        variants: A mapping of names to variants, or pairs of them.

    Raises:
        InvalidInputError: The mapping is empty, a name is used twice, or it cannot be used.
    """
    pairs = _pairs(variants)
    if not pairs:
        msg = 'variants is empty; pass names and settings, such as {"short": {"model": "..."}}'
        raise InvalidInputError(msg, field="variants")
    names = [check_name(name) for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        msg = f"two variants have the name {twice[0]!r}; give each a name of its own"
        raise InvalidInputError(msg, field="variants")
    return dict(pairs)


def read_variants(variants: Mapping[str, Any], base: object = None) -> dict[str, Variant]:
    """Read the settings of variants. Imports the SDK, and reads the source of functions.

    Args:
        variants: Variants by name.
        base: Settings that all variants share: a mapping, or a configuration of the SDK.

    Raises:
        InvalidInputError: A setting is unknown, or a variant is neither settings nor a
            configuration nor a function.
        InvalidConfigError: The SDK rejects a setting.
    """
    common = _read_base(base)
    return {name: _variant(name, given, common) for name, given in variants.items()}


def _pairs(variants: object) -> list[tuple[Any, Any]]:
    if isinstance(variants, Mapping):
        return list(variants.items())
    if isinstance(variants, Iterable) and not isinstance(variants, str | bytes):
        items = list(variants)
        if all(isinstance(item, tuple) and len(item) == _PAIR for item in items):
            return items
    msg = (
        "variants must be a mapping of names to settings, such as "
        f'{{"short": {{"model": "..."}}}}; got {type(variants).__name__}'
    )
    raise InvalidInputError(msg, field="variants")


def _read_base(base: object) -> _Base:
    from agy_nb.sdk.config.variant_config import is_config

    if base is None or is_config(base):
        return _Base(base, {})
    if not isinstance(base, Mapping):
        msg = (
            "base must be a mapping of settings or a configuration of the SDK, "
            f"got {type(base).__name__}"
        )
        raise InvalidInputError(msg, field="base")
    config, options = _divided("base", base, None)
    return _Base(config, options)


def _variant(name: str, given: Any, base: _Base) -> Variant:
    from agy_nb.sdk.config.variant_config import is_config, with_settings

    given = {} if given is None else given
    if is_config(given) or isinstance(given, Mapping):
        config, options = given, base.options
        if value_of(given, _CONVERSATION) or value_of(base.config, _CONVERSATION):
            msg = (
                f"variant {name!r} sets {_CONVERSATION}, but each run has a conversation of its "
                "own; pass a function that returns an agent instead"
            )
            raise InvalidInputError(msg, field=_CONVERSATION)
        if isinstance(given, Mapping):
            changes, own = _divided(name, given, base.config)
            config, options = with_settings(base.config, changes), {**base.options, **own}
        return Variant(name, config, options, digest=settings_digest((config, options)))
    if callable(given) and not inspect.isclass(given):
        return Variant(name, make=given, digest=settings_digest(given))
    msg = (
        f"variant {name!r} must be a mapping of settings, a configuration of the SDK, or a "
        f"function that returns an agent; got {type(given).__name__}"
    )
    raise InvalidInputError(msg, field="variants")


def _divided(
    where: str, settings: Mapping[str, Any], base: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide settings into fields of the configuration and other options of `create_agent`."""
    from agy_nb.sdk.config.variant_config import fields_of

    fields = fields_of(base)
    for name in settings:
        if name in OPTIONS or name in fields:
            continue
        near = get_close_matches(str(name), [*OPTIONS, *sorted(fields)], n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(fields))}"
        msg = (
            f"{where!r} has an unknown setting {name!r}: it is neither an argument of create_agent "
            f"nor a field of the SDK's configuration; {meant}"
        )
        raise InvalidInputError(msg, field=str(name))
    options = {name: value for name, value in settings.items() if name in OPTIONS}
    return {name: value for name, value in settings.items() if name in fields}, options


def arguments_of(config: Any, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a configuration and the other arguments of `create_agent`.

    Functions and rules of a mapping become arguments, which `create_agent` checks with the better
    messages.

    Args:
        config: The configuration.
        options: Further arguments.
    """
    if not isinstance(config, Mapping):
        return config, dict(options)
    lists = {name: config[name] for name in _LISTS if config.get(name) is not None}
    return {name: value for name, value in config.items() if name not in _LISTS}, {
        **options,
        **lists,
    }
