"""A recorded configuration on this machine: folders of its own, a key, the model's address.

Rule 1: what the recording sees is the configuration in the recorded words as far as they mean
something; key and address are changed unseen, on the way to the harness.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agy_nb.cassette.format import Frame
from agy_nb.cassette.recording import RecordedSession
from agy_nb.cassette.rerun.errors import NoModel
from agy_nb.wire.frames import (
    API_KEY,
    BASE_URL,
    CONFIG,
    CONVERSATION_ID,
    ENDPOINTS,
    GEMINI_ENDPOINT,
    INITIALIZED,
    conversation_of,
    models_of,
    paths_of,
)

KEY_VARIABLE = "GEMINI_API_KEY"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class LiveModel:
    """What answers instead of the recorded model.

    Attributes:
        base_url: Its address; empty for the recorded one.
        api_key: Its key.
    """

    base_url: str = ""
    api_key: str = field(default="", repr=False)

    @classmethod
    def found(cls, base_url: str = "", environ: Mapping[str, str] | None = None) -> LiveModel:
        """What the environment offers.

        Args:
            base_url: As given by the user.
            environ: The process's by default.

        Raises:
            NoModel: There is neither an address nor a key.
        """
        key = (os.environ if environ is None else environ).get(KEY_VARIABLE, "").strip()
        if not (base_url or key):
            raise NoModel(
                f"a live model is needed: set {KEY_VARIABLE}, or give the address of one with "
                "--base-url"
            )
        return cls(base_url.rstrip("/"), key or "no-key")

    def into(self, config: Frame) -> Frame:
        """A configuration as the harness is to get it."""
        changed = copy.deepcopy(config)
        for model in models_of(changed):
            for name in ENDPOINTS:
                endpoint = model.get(name)
                if isinstance(endpoint, dict):
                    self._change(name, endpoint)
        return changed

    def _change(self, name: str, endpoint: dict[str, Any]) -> None:
        if self.base_url:
            endpoint[BASE_URL] = self.base_url
        elif (
            name == GEMINI_ENDPOINT and urlsplit(endpoint.get(BASE_URL) or "").hostname in _LOOPBACK
        ):
            endpoint[BASE_URL] = ""  # a scripted model of then; the public one is meant now
        if API_KEY in endpoint or name == GEMINI_ENDPOINT:
            endpoint[API_KEY] = self.api_key


class Folders:
    """The recorded folders, made anew below one of this machine; one tree for all sessions.

    Args:
        sessions: Whose folders.
        root: Where. Folders are made there.
    """

    def __init__(self, sessions: Iterable[RecordedSession], root: Path) -> None:
        recorded = sorted({p for s in sessions for p in paths_of(s.config).values()})
        common = _common(recorded)
        self._here = {path: root / os.path.relpath(path, common) for path in recorded}
        for folder in self._here.values():
            folder.mkdir(parents=True, exist_ok=True)

    def into(self, config: Frame) -> Frame:
        """A configuration with folders of this machine."""
        here = sorted(self._here.items(), key=lambda item: -len(item[0]))
        changed: Frame = _replaced(config, [(old, str(new)) for old, new in here])
        return changed


class Conversations:
    """Which live conversation stands for which recorded one."""

    def __init__(self) -> None:
        self._live: dict[str, str] = {}

    def learn(self, recorded: str, live: str) -> None:
        """Take note of the ids that a harness gave, then and now."""
        if recorded and live:
            self._live[recorded] = live

    def into(self, config: Frame) -> Frame:
        """A configuration that resumes the live conversation."""
        live = self._live.get(conversation_of(config))
        return config if live is None else {CONFIG: config[CONFIG] | {CONVERSATION_ID: live}}


def given_id(frame: Frame) -> str:
    """The conversation's id in the harness's first frame, empty in others."""
    body = frame.get(INITIALIZED)
    return str(body.get(CONVERSATION_ID) or "") if isinstance(body, dict) else ""


def _common(paths: list[str]) -> str:
    """The folder that all lie in; the parent where they are one."""
    if not paths:
        return "/"
    try:
        common = os.path.commonpath(paths)
    except ValueError:  # some are absolute, some begin with a mark
        return "/"
    return os.path.dirname(common) if common in paths else common  # noqa: PTH120 - may be a mark


def _replaced(value: Any, words: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _replaced(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, words) for item in value]
    if isinstance(value, str):
        for old, new in words:
            if old in value:
                return value.replace(old, new)
    return value
