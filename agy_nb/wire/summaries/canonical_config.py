"""Configurations compared by meaning: what differs from run to run is taken out first."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from agy_nb.wire.client_config import paths_of
from agy_nb.wire.frames import (
    AFTER_TOOL,
    API_KEY,
    CONFIG,
    CONVERSATION_ID,
    ENABLED_HOOKS,
    MCP_SERVERS,
    Frame,
)
from agy_nb.wire.path_map import PathMap

_LOOPBACK = re.compile(r"(https?://)(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_VOLATILE = {CONVERSATION_ID: "<conversation>", API_KEY: "<key>"}


def canonical_config(frame: Frame, *, left_out: str = "") -> Frame:
    """Return a `config` frame without paths, keys, ports, ids and orders that mean nothing.

    Args:
        frame: As recorded or as it came, redacted either way.
        left_out: Name of fields that are left out, wherever they are.
    """
    paths = PathMap(
        {path: f"<{name}>" for name, path in paths_of(frame).items()}, keep_spelling=False
    )
    config = _walk(frame.get(CONFIG, {}), left_out, paths)
    if isinstance(config, dict) and isinstance(config.get("tools"), list):
        config["tools"].sort(key=lambda tool: json.dumps(tool, sort_keys=True))
    return {CONFIG: config}


def comparable_config(frame: Frame, *, any_model: bool = False) -> Frame:
    """Return a `config` frame for comparisons: without the key, which a replay does not need.

    Args:
        frame: As recorded or as it came, redacted either way.
        any_model: Whether it does not matter which models it names.
    """
    canonical = canonical_config(frame, left_out=API_KEY)
    config = canonical[CONFIG]
    if not isinstance(config, dict):
        return canonical
    if any_model:
        config.pop("models", None)
    hooks = config.get(ENABLED_HOOKS)
    if config.get(MCP_SERVERS) and isinstance(hooks, list):
        # Agents of the package take the results of MCP tools with a hook of their own. Agents of
        # the SDK alone do not, and neither did earlier versions.
        config[ENABLED_HOOKS] = [hook for hook in hooks if hook != AFTER_TOOL]
        if not config[ENABLED_HOOKS]:
            del config[ENABLED_HOOKS]
    return canonical


def config_digest(frame: Frame) -> str:
    """Return a short digest of a configuration's meaning."""
    text = json.dumps(canonical_config(frame), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _walk(value: Any, left_out: str, paths: PathMap) -> Any:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = paths.text(key) if paths.may_change(key) else key
            if name != left_out:
                is_volatile = item and name in _VOLATILE
                found[name] = _VOLATILE[name] if is_volatile else _walk(item, left_out, paths)
        return found
    if isinstance(value, list):
        return [_walk(item, left_out, paths) for item in value]
    if isinstance(value, str):
        text = paths.value(value) if paths.may_change(value) else value
        return _LOOPBACK.sub(r"\1<loopback>", text) if "://" in text else text
    return value
