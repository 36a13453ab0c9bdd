"""The real backend, imported when the first agent is opened, and off the loop: the SDK is large."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from agy_nb.collector import collector_paused
from agy_nb.sdk.interfaces.agent_spec import AgentSpec
from agy_nb.sdk.interfaces.approval_request import Gate
from agy_nb.sdk.interfaces.open_session import Backend, Session, Sink
from agy_nb.sdk.process.executor import run_in_thread


def load(module: str) -> Any:
    """Import a large module from a thread, with as little stop of the loop as can be.

    Imports make objects by the hundred thousand. Garbage collections among them would hold every
    thread again and again and find nothing; so there is one, at the end, after which the objects
    are old and the collector leaves them alone.
    """
    if module in sys.modules:
        return importlib.import_module(module)  # another thread may still be at it
    with collector_paused(collect=True):
        return importlib.import_module(module)


class LazyBackend:
    """`SdkBackend`, loaded on first use."""

    def __init__(self) -> None:
        self._backend: Backend | None = None

    async def open(self, spec: AgentSpec, sink: Sink, gate: Gate | None) -> Session:
        """Start an agent; see `Backend.open`."""
        if self._backend is None:
            live = await run_in_thread(load, "agy_nb.sdk.backend")
            if self._backend is None:  # two agents may be opened side by side
                self._backend = live.SdkBackend()
        return await self._backend.open(spec, sink, gate)

    async def close(self) -> None:
        """Release what the real backend holds, if it was ever loaded."""
        if self._backend is not None:
            await self._backend.close()
