"""The real backend: opens sessions of the SDK on its harness."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.antigravity import types

from agy_nb.sdk import logs, versions
from agy_nb.sdk.config import sdk_config as configs
from agy_nb.sdk.interfaces.agent_spec import AgentSpec, BranchPoint
from agy_nb.sdk.interfaces.approval_request import Gate
from agy_nb.sdk.interfaces.open_session import Sink
from agy_nb.sdk.lazy_backend import load
from agy_nb.sdk.process.executor import run_in_thread
from agy_nb.sdk.process.interceptor import model_needed
from agy_nb.sdk.process.launch import StartOptions
from agy_nb.sdk.session.sdk_session import SdkSession
from agy_nb.wire.summaries.beginning import Beginning

if TYPE_CHECKING:
    from agy_nb.testing.echo import EchoModel


_on_echo = 0


def echo_agents() -> int:
    """Return how many agents the echo model has answered in this process, or will answer."""
    return _on_echo


class SdkBackend:
    """Opens sessions of the real SDK on the real harness.

    Without a model in the configuration and without a key, a local echo model answers.
    """

    def __init__(self) -> None:
        self._echo: EchoModel | None = None
        self._starting_echo = asyncio.Lock()

    async def open(self, spec: AgentSpec, sink: Sink, gate: Gate | None) -> SdkSession:
        """Start an agent; see `Backend.open`."""
        versions.check()
        logs.route()
        branch = spec.branch
        begins = Beginning()
        if branch is not None:
            begins = Beginning(branch.after_turn, branch=branch.parent_branch)
        options = StartOptions(
            spec.listen, any_model=configs.names_no_model(spec.config), begins=begins
        )
        if configs.needs_a_model(spec.config) and await model_needed():
            spec = replace(spec, config=await self._with_echo(spec.config))
            options = replace(options, on_echo_model=True)
        config = await run_in_thread(configs.build, spec, gate)
        if branch is not None:
            config = _continuing(config, branch)
        session = SdkSession(config, sink, options)
        session.is_branch = branch is not None
        await session.start()
        return session

    async def _with_echo(self, config: Mapping[str, Any] | None) -> Mapping[str, Any]:
        async with self._starting_echo:
            if self._echo is None:
                module = await run_in_thread(load, "agy_nb.testing.echo")
                model = module.EchoModel()
                await model.start()
                self._echo = model  # only now: one that failed to start is tried again
                print(  # noqa: T201 - the user should know who answers
                    f"agy_nb: no {configs.KEY_VARIABLE} is set, so a local echo model answers"
                )
        global _on_echo  # noqa: PLW0603 - of the process, as the harnesses that it starts
        _on_echo += 1
        echo = await run_in_thread(self._echo.config)
        return {**(config or {}), "models": echo.models}

    async def close(self) -> None:
        """Stop the echo model, if it was needed."""
        if self._echo is not None:
            await self._echo.stop()
            self._echo = None


def _continuing(config: Any, branch: BranchPoint) -> Any:
    """Return the configuration of a forked agent, which continues a copy of a conversation."""
    resume = types.SessionContinuationMode.RESUME
    return config.model_copy(
        update={
            "conversation_id": branch.conversation_id,
            "session_continuation_mode": resume if branch.conversation_id else None,
            "save_dir": branch.save_dir,
        }
    )
