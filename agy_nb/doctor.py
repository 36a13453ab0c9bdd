"""`agy-nb doctor`: what is installed, what works here, and whether an agent answers.

Rule 1: every check gives one line and never raises; a later check does not hide an earlier one.
Rule 2: only a real agent that answers makes the report good; everything else may be a note.
Rule 3: a key is never shown, not even where an error message repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from agy_nb import headless, kernel
from agy_nb.errors import AgyError, HarnessError, UnsupportedSdkError
from agy_nb.runtime.runtime_config import RuntimeConfig

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import Connected, HarnessStart

KEY = "GEMINI_API_KEY"
HARNESS = "ANTIGRAVITY_HARNESS_PATH"
LIMITS = RuntimeConfig(start_timeout=15, chat_timeout=30)
PROMPT = "Say hello in one short sentence."
FRONT_ENDS = ("jupyterlab", "notebook")

PROBE = (
    "import dataclasses, json, agy_nb.kernel; "
    "print(json.dumps(dataclasses.asdict(agy_nb.kernel.probe())))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report.

    Attributes:
        name: What was looked at.
        status: A note is worth knowing and stops nothing.
        detail: What was found, in words.
        data: The same for programs.
    """

    name: str
    status: Literal["ok", "note", "fail"]
    detail: str
    data: dict[str, Any] = field(default_factory=dict)


async def examine() -> AsyncIterator[Check]:
    """Look at everything, the quick things first; the last check is an agent that answers."""
    installed = await asyncio.to_thread(_installed)
    for check in installed:
        yield check
    async for check in _kernel():
        yield check
    yield _key()
    if any(check.status == "fail" for check in installed):
        yield Check(name="agent", status="fail", detail="not tried, for want of the SDK")
        return
    async for check in _agent():
        yield dataclasses.replace(check, detail=_without_key(check.detail))


def passed(checks: list[Check]) -> bool:
    """Whether an agent could be started and answered."""
    return any(check.name == "agent" and check.status == "ok" for check in checks)


def _installed() -> tuple[Check, ...]:
    """What lies on this disk; reads it."""
    version = platform.python_version()
    python = Check(
        name="python",
        status="ok",
        detail=f"{version} at {sys.executable}",
        data={"version": version, "path": sys.executable},
    )
    ours = Check(name="agy_nb", status="ok", detail=metadata.version("agy-nb"))
    return python, ours, _sdk(), _front_end(), _secrets()


def _sdk() -> Check:
    from agy_nb.sdk import versions

    data = {"version": versions.sdk_version(), "tested": [versions.OLDEST, versions.NEWEST]}
    try:
        version = versions.require_supported()
    except UnsupportedSdkError as error:
        return Check(name="sdk", status="fail", detail=str(error), data=data)
    tested = f"tested with {versions.OLDEST} to {versions.NEWEST}"
    return Check(
        name="sdk",
        status="note" if versions.is_newer(version) else "ok",
        detail=f"google-antigravity {version} ({tested})",
        data=data,
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _front_end() -> Check:
    found = {name: version for name in FRONT_ENDS if (version := _version(name))}
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        listed = "none installed here; VS Code and Colab bring their own"
    return Check(
        name="front end", status="ok" if found else "note", detail=listed, data={"installed": found}
    )


def _secrets() -> Check:
    """What takes secrets out of recordings."""
    from agy_nb.cassette.redaction import engine

    found = engine.version()
    if found is None:
        detail = (
            "recordings are redacted by agy_nb's own rules only; betterleaks, which knows more "
            "services' keys, is not installed or does not load on this machine"
        )
        return Check(name="redaction", status="note", detail=detail, data={"engine": None})
    detail = f"betterleaks {found} and agy_nb's own rules"
    return Check(name="redaction", status="ok", detail=detail, data={"engine": found})


async def _kernel() -> AsyncIterator[Check]:
    """What works in this kernel; from a terminal, in a new kernel of this Python."""
    try:
        if kernel.in_kernel():
            probed = dataclasses.asdict(kernel.probe())
        else:
            probed = json.loads(await headless.execute_line(PROBE))
    except (AgyError, OSError, ValueError) as error:
        yield Check(name="kernel", status="note", detail=str(error))
        return
    where = f", in {probed['front_end']}" if kernel.in_kernel() else ""
    detail = f"ipykernel {probed['ipykernel']}{where}"
    yield Check(name="kernel", status="ok", detail=detail, data=probed)
    for name, ability in (
        ("clicks, await", probed["clicks_during_await"]),
        ("clicks, sync", probed["clicks_during_sync"]),
        ("interrupt", probed["interrupt"]),
    ):
        works = ability["works"]
        detail = "works" if works else f"does not work: {ability['reason']}"
        yield Check(name=name, status="ok" if works else "note", detail=detail, data=ability)


def _has_key() -> bool:
    return bool(os.environ.get(KEY, "").strip())


def _key() -> Check:
    if _has_key():
        return Check(name="key", status="ok", detail=f"{KEY} is set", data={"present": True})
    detail = f"{KEY} is not set; the echo model answers"
    return Check(name="key", status="note", detail=detail, data={"present": False})


def _without_key(text: str) -> str:
    return text.replace(os.environ[KEY].strip(), "***") if _has_key() else text


class _Stopwatch:
    """Stands between the SDK and its harness, and takes the time of the real start."""

    def __init__(self) -> None:
        self.path = os.environ.get(HARNESS, "")
        self.seconds: float | None = None

    async def __call__(self, start: HarnessStart) -> Connected:
        self.path = start.binary_path or self.path
        began = time.monotonic()
        connected = await start.spawn()
        self.seconds = time.monotonic() - began
        return connected

    def check(self, error: Exception | None) -> Check:
        origin = f" ({HARNESS})" if os.environ.get(HARNESS) else ""
        where = f"{self.path or 'localharness'}{origin}"
        data = {"path": self.path or None, "start_s": self.seconds}
        if self.seconds is not None:
            detail = f"{where}, starts in {self.seconds:.2f} s"
            return Check(name="harness", status="ok", detail=detail, data=data)
        remedy = f"unset {HARNESS}, or name the real one" if origin else "reinstall the SDK"
        cause = (error.__cause__ if isinstance(error, HarnessError) else None) or error
        what = _one_line(cause) if cause else "was not started"
        detail = f"{where} does not start: {what}; {remedy}"
        return Check(name="harness", status="fail", detail=detail, data=data)


async def _agent() -> AsyncIterator[Check]:
    """Start an agent on a runtime of its own and have it answer."""
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.sdk.process import interception
    from agy_nb.testing import EchoModel

    watch, name = _Stopwatch(), "Gemini" if _has_key() else "the echo model"
    echo = None if _has_key() else EchoModel()
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="agy-nb-")
    agent = None
    try:
        place = {"save_dir": folder}
        config = await asyncio.to_thread((await echo.start()).config, **place) if echo else place
        async with Runtime(LIMITS) as runtime:
            try:
                with interception.intercepted(watch):
                    agent = await runtime.create_agent(config)
                yield watch.check(None)
                began = time.monotonic()
                text = await agent.chat_text(PROMPT)
                yield _answered(text, name, time.monotonic() - began)
                with contextlib.suppress(AgyError):
                    await agent.delete()
            except (AgyError, RuntimeError) as error:
                if agent is None:
                    yield watch.check(error)
                what = "does not answer" if agent else "could not be started"
                detail = f"{what}: {_one_line(error)}" if agent else what
                yield Check(name="agent", status="fail", detail=detail)
    finally:
        if echo:
            await echo.stop()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).removesuffix(" Stderr:") or type(error).__name__


def _answered(text: str, model: str, seconds: float) -> Check:
    if not text.strip():
        return Check(name="agent", status="fail", detail=f"{model} answered with nothing")
    detail = f"{model} answered in {seconds:.2f} s"
    return Check(name="agent", status="ok", detail=detail, data={"answer_s": seconds})
