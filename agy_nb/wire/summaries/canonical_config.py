"""Configurations compared by meaning: what differs from run to run is taken out first."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from agy_nb.wire.client_config import paths_of
from agy_nb.wire.frames import API_KEY, CONFIG, CONVERSATION_ID, Frame

_LOOPBACK = re.compile(r"(https?://)(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_VOLATILE = {CONVERSATION_ID: "<conversation>", API_KEY: "<key>"}


def canonical_config(frame: Frame) -> Frame:
    """A `config` frame without paths, keys, ports, ids and orders that mean nothing.

    Args:
        frame: As recorded or as it came, redacted either way.
    """
    paths = sorted(paths_of(frame).items(), key=lambda item: -len(item[1]))
    config = _walk(frame.get(CONFIG, {}), paths)
    if isinstance(config, dict) and isinstance(config.get("tools"), list):
        config["tools"].sort(key=lambda tool: json.dumps(tool, sort_keys=True))
    return {CONFIG: config}


def comparable_config(frame: Frame, *, any_model: bool = False) -> Frame:
    """A `config` frame as another is compared with it: a replay needs no key.

    Args:
        frame: As recorded or as it came, redacted either way.
        any_model: Whether it does not matter which models it names.
    """
    config = _keyless(canonical_config(frame)[CONFIG])
    if any_model and isinstance(config, dict):
        config.pop("models", None)
    return {CONFIG: config}


def _keyless(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {k: _keyless(v) for k, v in value.items() if k != API_KEY}
    if isinstance(value, list):
        return [_keyless(item) for item in value]
    return value


def config_digest(frame: Frame) -> str:
    """A short digest of a configuration's meaning."""
    text = json.dumps(canonical_config(frame), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _walk(value: Any, paths: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {
            k: _VOLATILE[k] if k in _VOLATILE and v else _walk(v, paths) for k, v in value.items()
        }
    if isinstance(value, list):
        return [_walk(item, paths) for item in value]
    if isinstance(value, str):
        for name, path in paths:
            value = value.replace(path, f"<{name}>")
        return _LOOPBACK.sub(r"\1<loopback>", value) if "://" in value else value
    return value
