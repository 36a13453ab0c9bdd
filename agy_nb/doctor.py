"""`agy-nb doctor`: check the installation, the kernel's features, and that an agent answers.

Rule 1: each check gives one line and never raises.
Rule 2: the report passes only if a real agent answers; other problems may be notes.
Rule 3: a key is never printed, also if an error message contains it.
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
        name: Name of the check.
        status: A `note` is information; the report still passes.
        detail: The result, for a reader.
        data: The result, for a program.
    """

    name: str
    status: Literal["ok", "note", "fail"]
    detail: str
    data: dict[str, Any] = field(default_factory=dict)


async def examine() -> AsyncIterator[Check]:
    """Run all checks, the quick ones first; the last one is that an agent answers."""
    installed = await asyncio.to_thread(_installed)
    for check in installed:
        yield check
    async for check in _kernel():
        yield check
    yield _key()
    if any(check.status == "fail" for check in installed):
        yield Check(
            name="agent", status="fail", detail="not started, because the check of the SDK failed"
        )
        return
    async for check in _agent():
        yield dataclasses.replace(check, detail=_without_key(check.detail))


def passed(checks: list[Check]) -> bool:
    """Return whether an agent started and answered."""
    return any(check.name == "agent" and check.status == "ok" for check in checks)


def _installed() -> tuple[Check, ...]:
    """Check the installed packages; reads the disk."""
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
        listed = (
            "none installed; VS Code and Colab have their own; JupyterLab comes with "
            f"{sys.executable} -m pip install 'agy-nb[lab]'"
        )
    return Check(
        name="front end", status="ok" if found else "note", detail=listed, data={"installed": found}
    )


def _secrets() -> Check:
    """Check the packages that redact recordings."""
    from agy_nb.cassette.redaction import engine

    found = engine.version()
    if found is None:
        detail = (
            "agy_nb's own rules only; betterleaks, which finds keys of more services, is not "
            "installed or does not load on this machine"
        )
        return Check(name="redaction", status="note", detail=detail, data={"engine": None})
    detail = f"betterleaks {found} and agy_nb's own rules"
    return Check(name="redaction", status="ok", detail=detail, data={"engine": found})


async def _kernel() -> AsyncIterator[Check]:
    """Check the features of this kernel; in a terminal, of a new kernel of this Python."""
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
    """Intercepts the start of the harness and measures its time."""

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
        remedy = (
            f"unset {HARNESS}, or set it to the real harness" if origin else "reinstall the SDK"
        )
        cause = (error.__cause__ if isinstance(error, HarnessError) else None) or error
        what = _one_line(cause) if cause else "was not started"
        detail = f"{where} does not start: {what}; {remedy}"
        return Check(name="harness", status="fail", detail=detail, data=data)


async def _agent() -> AsyncIterator[Check]:
    """Start an agent on its own runtime and send it a prompt."""
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.sdk.process import interception
    from agy_nb.testing import EchoModel

    watch, name = _Stopwatch(), "Gemini" if _has_key() else "the echo model"
    echo = None if _has_key() else EchoModel()
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="agy-nb-")
    agent = None
    try:
        config: Any = {"save_dir": folder}
        if echo:
            await echo.start()
            config = await asyncio.to_thread(echo.config, save_dir=folder)
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
        return Check(name="agent", status="fail", detail=f"the answer of {model} was empty")
    detail = f"{model} answered in {seconds:.2f} s"
    return Check(name="agent", status="ok", detail=detail, data={"answer_s": seconds})
