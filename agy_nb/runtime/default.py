"""This kernel's own runtime: made on first use, kept when a cell runs again, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agy_nb import kernel
from agy_nb.errors import InvalidConfig
from agy_nb.kernel.access import running_loop
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.approvals import AskUser
from agy_nb.runtime.config import RuntimeConfig
from agy_nb.runtime.runtime import Runtime

_current: Runtime | None = None


def runtime(config: RuntimeConfig | None = None) -> Runtime:
    """This kernel's runtime, or this script's.

    Args:
        config: Limits and pauses; counts when the runtime is made, that is on the first call.

    Returns:
        The runtime; it starts with its first agent.

    Raises:
        InvalidConfig: The runtime runs already, with another configuration.

    Example:
        >>> agent = await agy.runtime().create_agent()
        >>> agent.id in agy.runtime().agent_ids
        True
    """
    global _current  # noqa: PLW0603 - one runtime a kernel
    if _current is not None and _alive(_current):
        if config is not None and config != _current.config:
            raise InvalidConfig(
                "this kernel's runtime runs already with another configuration; "
                "`await agy.runtime().close()` first, or use agy.Runtime(config)",
                field="config",
            )
        return _current
    _current = Runtime(config)
    kernel.guest().at_exit(_current.close, fallback=lambda: None)
    return _current


def _alive(candidate: Runtime) -> bool:
    if candidate.closed:
        return False
    loop = candidate.loop
    if loop is None:
        return True
    here = running_loop()
    return not loop.is_closed() and (here is None or here is loop or kernel.in_kernel())


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
        InvalidConfig: The configuration is refused; `field` names what is wrong.
        HarnessError: The harness does not start.
        Timeout: It takes longer than `start_timeout` seconds.

    Example:
        >>> agent = await agy.create_agent(tools=[get_weather], ask_user=lambda request: True)
        >>> await agent.chat_text("Use get_weather for Paris")
        'get_weather says: sunny in Paris'
    """
    return await runtime().create_agent(
        config, tools=tools, policies=policies, hooks=hooks, triggers=triggers, ask_user=ask_user
    )
