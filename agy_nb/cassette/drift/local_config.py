"""A recorded configuration on this machine: folders of its own, a key, the model's address.

Rule 1: what the recording sees is the configuration in the recorded words as far as they mean
something; key and address are changed unseen, on the way to the harness.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agy_nb.cassette.drift.errors import DriftError, NoModelError, UnknownAddressError
from agy_nb.cassette.storage.cassette_reader import RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire.client_config import conversation_of, models_of, paths_of, workspaces_of
from agy_nb.wire.frames import (
    API_KEY,
    BASE_URL,
    CONFIG,
    CONVERSATION_ID,
    CUSTOM_ENDPOINT,
    ENDPOINTS,
    GEMINI_ENDPOINT,
    SUBAGENTS,
)
from agy_nb.wire.json_values import object_of, objects_of
from agy_nb.wire.path_map import PathMap

KEY_VARIABLE = "GEMINI_API_KEY"
_REDIRECTED = frozenset(ENDPOINTS) - {CUSTOM_ENDPOINT}
_KEPT = ("options", "project", "location")
_PUBLIC = (
    "https://generativelanguage.googleapis.com",
    "https://generativelanguage.googleapis.com/",
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class LiveModel:
    """What answers instead of the recorded model.

    Attributes:
        base_url: Its address; empty for the public one of Gemini.
        api_key: Its key.
    """

    base_url: str = ""
    api_key: str = field(default="", repr=False)

    @classmethod
    def found(cls, base_url: str = "", environ: Mapping[str, str] | None = None) -> LiveModel:
        """Return the live model of the environment.

        Args:
            base_url: As given by the user.
            environ: The process's by default.

        Raises:
            NoModelError: There is neither an address nor a key.
        """
        key = (os.environ if environ is None else environ).get(KEY_VARIABLE, "").strip()
        if not (base_url or key):
            raise NoModelError(
                f"a live model is needed: set {KEY_VARIABLE}, or give the address of one with "
                "--base-url"
            )
        return cls(base_url.rstrip("/"), key or "no-key")

    def into(self, config: Frame) -> Frame:
        """Return a configuration for the harness: the key goes to no recorded address.

        Raises:
            UnknownAddressError: A model of the recording is at an address that the user did not
                give.
        """
        changed = copy.deepcopy(config)
        agents = objects_of(object_of(changed.get(CONFIG)).get(SUBAGENTS))
        for model in (*models_of(changed), *(object_of(agent.get("model")) for agent in agents)):
            for name in [name for name in model if name.endswith("Endpoint")]:
                model[name] = self._endpoint(name, model[name])
        return changed

    def _endpoint(self, name: str, recorded: Any) -> dict[str, Any]:
        """Return an endpoint with the user's address and key, or the public address."""
        recorded = object_of(recorded)
        address = recorded.get(BASE_URL) or ""
        if name not in _REDIRECTED or not (self.base_url or name == GEMINI_ENDPOINT):
            raise UnknownAddressError(
                f"the recording has its model at a {name}, and no key is sent there; "
                + (
                    "give the address of a model with --base-url"
                    if name in _REDIRECTED
                    else "such a recording cannot be run again"
                )
            )
        if not self.base_url and address not in ("", *_PUBLIC) and not _is_loopback(address):
            raise UnknownAddressError(
                f"the recording has its model at {address!r}, and no key is sent there; give the "
                "address of the model with --base-url"
            )
        kept = {key: recorded[key] for key in _KEPT if key in recorded}
        endpoint = {**kept, BASE_URL: self.base_url}
        if API_KEY in recorded or name == GEMINI_ENDPOINT:
            endpoint[API_KEY] = self.api_key
        return endpoint


def _is_loopback(address: Any) -> bool:
    try:
        return urlsplit(address).hostname in _LOOPBACK  # a scripted model of then
    except (ValueError, AttributeError, TypeError):
        return False


class Workspaces:
    """The recorded folders, made again below one of this machine; one tree for all sessions.

    Args:
        sessions: Whose folders.
        root: Where. Folders are made there.
        given: Folders of the user for the recorded workspaces, in their order.

    Raises:
        DriftError: A recorded path leads elsewhere.
    """

    def __init__(
        self, sessions: Sequence[RecordedSession], root: Path, given: Iterable[str] = ()
    ) -> None:
        recorded = sorted({p for s in sessions for p in paths_of(s.config).values()})
        for path in recorded:
            if ".." in path.replace("\\", "/").split("/") or "\0" in path:
                raise DriftError(
                    f"the recorded folder {path!r} is not created: it contains '..' or a NUL"
                )
        common = _common(recorded)
        self._here = {path: root / os.path.relpath(path, common) for path in recorded}
        for folder in self._here.values():
            folder.mkdir(parents=True, exist_ok=True)
        for session in sessions:
            pairs = zip(workspaces_of(session.config), given, strict=False)
            self._here |= {there: Path(here) for there, here in pairs}

    def into(self, config: Frame) -> Frame:
        """Return a configuration with folders of this machine."""
        here = PathMap({old: str(new) for old, new in self._here.items()})
        changed: Frame = here.value(config)
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
        """Return a configuration that resumes the live conversation."""
        live = self._live.get(conversation_of(config))
        return config if live is None else {CONFIG: config[CONFIG] | {CONVERSATION_ID: live}}


def _common(paths: list[str]) -> str:
    """Return the common folder of all; the parent if there is only one."""
    if not paths:
        return "/"
    try:
        common = os.path.commonpath(paths)
    except ValueError:  # some are absolute, some begin with a mark
        return "/"
    return os.path.dirname(common) if common in paths else common  # noqa: PTH120 - may be a mark
