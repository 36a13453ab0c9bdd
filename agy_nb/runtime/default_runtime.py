"""This kernel's own runtime: made on first use, kept when a cell runs again, closed at the end.

A kernel has one, on its main loop; calls from subshells and threads run there. A script may have
several loops, one per thread or one after the other; each has its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agy_nb import kernel
from agy_nb.errors import InvalidConfigError
from agy_nb.kernel.environment import running_loop
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.approval_gate import AskUser
from agy_nb.runtime.runtime import Runtime
from agy_nb.runtime.runtime_config import RuntimeConfig


@dataclass(slots=True)
class _Made:
    """A runtime that was made here.

    Attributes:
        runtime: It.
        asked_on: The loop that it was asked for on, None as long as none was running.
        forget: Takes its clean-up at the end back.
    """

    runtime: Runtime
    asked_on: asyncio.AbstractEventLoop | None
    forget: Callable[[], None]

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it lives on, or will."""
        return self.runtime.loop or self.asked_on

    @property
    def alive(self) -> bool:
        """Whether it can be used."""
        return not (self.runtime.closed or (self.loop is not None and self.loop.is_closed()))

    def serves(self, here: asyncio.AbstractEventLoop | None) -> bool:
        """Whether it is for whoever is on a loop, or on none."""
        return here is None or self.loop is None or self.loop is here or kernel.in_kernel()


_made: list[_Made] = []
_lock = threading.Lock()


def _start_afresh() -> None:
    """Forget the parent's runtimes in a forked child: a thread of the parent may hold the lock."""
    global _made, _lock
    _made, _lock = [], threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


def runtime(config: RuntimeConfig | None = None) -> Runtime:
    """This kernel's runtime, or this script's; where several loops run, that of the one here.

    Args:
        config: Limits and pauses; counts when the runtime is made, that is on the first call.

    Returns:
        The runtime; it starts with its first agent.

    Raises:
        InvalidConfigError: The runtime runs already, with another configuration.

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
                "this kernel's runtime runs already with another configuration; "
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
    """The one for whoever is here; where several would do, that of the main loop."""
    serving = [made for made in reversed(_made) if made.serves(here)]
    main = kernel.main_loop()
    serving.sort(key=lambda made: made.loop is not main)
    return next(iter(serving), None)


def _make(config: RuntimeConfig | None) -> _Made:
    # In a kernel it lives on the main loop, also when a subshell or a thread asks first.
    new = Runtime(config, loop=kernel.main_loop() if kernel.in_kernel() else None)

    async def leave() -> None:
        if new.loop is None or new.loop.is_closed() or new.loop is running_loop():
            await new.close()

    made = _Made(new, None, kernel.current_host().at_exit(leave, fallback=lambda: None))
    _made.append(made)
    return made


async def create_agent(
    config: Any = None,
    *,
    tools: Sequence[Callable[..., Any]] = (),
    policies: Sequence[Any] = (),
    hooks: Sequence[Any] = (),
    triggers: Sequence[Any] = (),
    ask_user: AskUser | None = None,
) -> Agent:
    """Start an agent on this kernel's runtime; see `Runtime.create_agent`.

    Args:
        config: The SDK's `LocalAgentConfig` (or a sibling), a mapping of its fields, or None for
            the default: Gemini when `GEMINI_API_KEY` is set, a local echo model otherwise.
        tools: Host functions, plain or async.
        policies: The SDK's policies.
        hooks: The SDK's hooks.
        triggers: The SDK's triggers.
        ask_user: Decides on tool calls; True lets the tool run.

    Returns:
        The agent, started.

    Raises:
        InvalidConfigError: The configuration is refused; `field` names what is wrong.
        HarnessError: The harness does not start.
        AgyTimeoutError: It takes longer than `start_timeout` seconds.

    Example:
        >>> agent = await agy.create_agent(tools=[get_weather])
        >>> await agent.chat_text("Use get_weather for Paris")
        'get_weather says: sunny in Paris'
    """
    return await runtime().create_agent(
        config, tools=tools, policies=policies, hooks=hooks, triggers=triggers, ask_user=ask_user
    )
