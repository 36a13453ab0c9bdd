"""The default runtime: created on first use, reused by later cells, closed at the process's end.

A kernel has one, on its main loop; calls from subshells and threads run there. In a script, each
event loop has its own runtime.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from agy_nb import kernel
from agy_nb.errors import InvalidConfigError
from agy_nb.kernel.environment import running_loop
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.approvals.approval_gate import AskUser
from agy_nb.runtime.runtime import Runtime
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.sdk.config.agent_settings import AgentSettings, show_settings


@dataclass(slots=True)
class _Made:
    """A runtime that this module created.

    Attributes:
        runtime: The runtime.
        asked_on: The loop of the first caller that had one, None before.
        forget: Removes the runtime's clean-up at the process's end.
    """

    runtime: Runtime
    asked_on: asyncio.AbstractEventLoop | None
    forget: Callable[[], None]

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The runtime's loop, or the one that it will use."""
        return self.runtime.loop or self.asked_on

    @property
    def alive(self) -> bool:
        """Whether the runtime can be used."""
        return not (self.runtime.closed or (self.loop is not None and self.loop.is_closed()))

    def serves(self, here: asyncio.AbstractEventLoop | None) -> bool:
        """Return whether a caller on this loop, or outside any loop, should use this runtime."""
        return here is None or self.loop is None or self.loop is here or kernel.in_kernel()


_made: list[_Made] = []
_lock = threading.Lock()


def _start_afresh() -> None:
    """Forget the parent's runtimes and lock in a forked child.

    The lock may be held by a thread of the parent that does not exist in the child.
    """
    global _made, _lock
    _made, _lock = [], threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


def runtime(config: RuntimeConfig | None = None) -> Runtime:
    """Return the default runtime of this kernel, or of this script's event loop.

    Args:
        config: Limits and pauses, used when the first call creates the runtime.

    Returns:
        The runtime; it starts with its first agent.

    Raises:
        InvalidConfigError: The runtime exists already, with another configuration.

    Example:
        >>> agent = await agy.runtime().create_agent()
        >>> agent.id in agy.runtime().agent_ids
        True
    """
    here = running_loop()
    with _lock:
        _forget_dead()
        found = _find(here)
        if found is None:
            found = _make(config)
        elif config is not None and config != found.runtime.config:
            raise InvalidConfigError(
                "the default runtime exists already, with another configuration; "
                "`await agy.runtime().close()` first, or use agy.Runtime(config)",
                field="config",
            )
        found.asked_on = found.asked_on or here
        return found.runtime


def _forget_dead() -> None:
    for made in [made for made in _made if not made.alive]:
        made.forget()
        _made.remove(made)


def _find(here: asyncio.AbstractEventLoop | None) -> _Made | None:
    """Return the runtime for this loop; if several fit, prefer the main loop's."""
    serving = [made for made in reversed(_made) if made.serves(here)]
    main = kernel.main_loop()
    serving.sort(key=lambda made: made.loop is not main)
    return next(iter(serving), None)


def _make(config: RuntimeConfig | None) -> _Made:
    # In a kernel it uses the main loop, also if a subshell or a thread makes the first call.
    new = Runtime(config, loop=kernel.main_loop() if kernel.in_kernel() else None)

    async def leave() -> None:
        # The clean-up runs on one loop. A runtime of another one cannot be awaited here; its
        # harnesses end with the process.
        if new.loop is None or new.loop.is_closed() or new.loop is running_loop():
            await new.close()

    made = _Made(new, None, kernel.current_host().at_exit(leave, fallback=lambda: None))
    _made.append(made)
    return made


@show_settings
async def create_agent(
    config: Any = None,
    *,
    tools: Sequence[Callable[..., Any]] = (),
    policies: Sequence[Any] = (),
    hooks: Sequence[Any] = (),
    triggers: Sequence[Any] = (),
    ask_user: AskUser | None = None,
    labels: Mapping[str, str] | None = None,
    **settings: Unpack[AgentSettings],
) -> Agent:
    """Start an agent on this kernel's runtime; see `Runtime.create_agent`.

    Args:
        config: The SDK's `LocalAgentConfig` (or another configuration class of the SDK), a mapping
            of its fields, or None for the default: Gemini if `GEMINI_API_KEY` is set, a local echo
            model otherwise. Keywords replace its fields.
        tools: Host functions, plain or async.
        policies: The SDK's policies. They replace the default ones, or are added to those that the
            configuration sets.
        hooks: The SDK's hooks.
        triggers: The SDK's triggers.
        ask_user: Decides on tool calls; True lets the tool run.
        labels: Labels of the agent, such as `{"user": "ada", "experiment": "b"}`: columns of the
            tables, also of recordings.
        **settings: Fields of the SDK's configuration by name; `AgentSettings` lists them.

    Returns:
        The agent, started.

    Raises:
        InvalidConfigError: The SDK or agy_nb rejects the configuration; `field` names the setting.
        InvalidInputError: A label is not a short text.
        HarnessError: The harness does not start.
        AgyTimeoutError: The start takes longer than `start_timeout` seconds.

    Example:
        >>> agent = await agy.create_agent(
        ...     tools=[get_weather], system_instructions="Answer in one sentence."
        ... )
        >>> await agent.chat_text("Use get_weather for Paris")
        'get_weather says: sunny in Paris'
    """
    return await runtime().create_agent(
        config,
        tools=tools,
        policies=policies,
        hooks=hooks,
        triggers=triggers,
        ask_user=ask_user,
        labels=labels,
        **settings,
    )
