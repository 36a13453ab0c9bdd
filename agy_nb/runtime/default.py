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

    Raises:
        InvalidConfig: The runtime runs already, with another configuration.

    Example:
        ```python
        rt = agy.runtime()
        agent = await rt.create_agent()
        ```
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

    Example:
        ```python
        agent = await agy.create_agent(tools=[get_weather], ask_user=lambda request: True)
        ```
    """
    return await runtime().create_agent(
        config, tools=tools, policies=policies, hooks=hooks, triggers=triggers, ask_user=ask_user
    )
