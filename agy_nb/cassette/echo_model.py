"""Recordings of the echo model, which answers agents without a key and without a model.

A recording of it looks like one of Gemini, and is replayed for good, also with a key. So nothing
records the echo model by accident, and tools name the cassettes that contain it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agy_nb.cassette.errors import EchoRecordingError
from agy_nb.wire.client_config import models_of
from agy_nb.wire.frames import Frame

NAME = "echo-model"
"""The name of the echo model in an agent's configuration."""
REMARK = "recorded with the echo model, which repeats the prompt: record it again with a real model"


def is_echo(config: Frame) -> bool:
    """Return whether a configuration, as sent to the harness, names the echo model."""
    return any(model.get("name") == NAME for model in models_of(config))


def any_echo(configs: Iterable[Frame]) -> bool:
    """Return whether one of the configurations names the echo model."""
    return any(map(is_echo, configs))


def refusal(path: Path, mode: str, *, echo: bool) -> EchoRecordingError | None:
    """Return why an agent on the echo model is not recorded, None if it may be.

    Args:
        path: The cassette's folder.
        mode: The record mode.
        echo: Whether the user asked for a recording of the echo model.
    """
    if echo and mode != "once":
        return None
    on_purpose = "" if echo else " and echo=True"
    return _error(path, f'use record_mode="all"{on_purpose}')


def refusal_to_program(path: Path) -> EchoRecordingError:
    """Return why `agy-nb harness` does not record an agent on the echo model."""
    return _error(path, "use --echo")


def _error(path: Path, on_purpose: str) -> EchoRecordingError:
    return EchoRecordingError(
        f"{path} is not recorded: no GEMINI_API_KEY is set and the configuration names no model, "
        "so the echo model would answer. What to do: set GEMINI_API_KEY; or name a model in the "
        "configuration, for example that of agy_nb.testing.ScriptedModel; or, to record the echo "
        f"model on purpose, {on_purpose}",
        path=str(path),
    )
