"""Create the SDK's `Agent` with the user's own objects, not copies of them.

The SDK makes a deep copy of a configuration, and restores only some objects afterwards. Copying a
tool that is a method of a large object takes time, and copying one with a lock fails. So the agent
gets a configuration whose `model_copy` returns the configuration itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.antigravity import agent as sdk_agent

from agy_nb.sdk.patches.user_code.triggers import reported

_HOLDING_USERS_OBJECTS = ("tools", "hooks", "triggers", "policies", "subagents")

OnStrategy = Callable[[Any, Any, Any], None]
"""Takes the SDK's strategy, tool runner and hook runner, before the strategy is entered."""


def agent_of(config: Any, on_strategy: OnStrategy) -> tuple[sdk_agent.Agent, Any]:
    """Make the SDK's agent for a configuration.

    Args:
        config: The SDK's configuration; it stays as it is.
        on_strategy: Called when the agent has made its strategy.

    Returns:
        The agent, and the configuration that it has.
    """
    kept = {name: list(getattr(config, name)) for name in _HOLDING_USERS_OBJECTS}
    kept["triggers"] = [reported(trigger) for trigger in kept["triggers"]]
    ours = config.model_copy(update={name: [] for name in kept}).model_copy(deep=True)
    for name, objects in kept.items():
        setattr(ours, name, objects)
    create_strategy = ours.create_strategy

    def create(*, tool_runner: Any, hook_runner: Any) -> Any:
        strategy = create_strategy(tool_runner=tool_runner, hook_runner=hook_runner)
        on_strategy(strategy, tool_runner, hook_runner)
        return strategy

    ours.__dict__["create_strategy"] = create
    ours.__dict__["model_copy"] = lambda **_: ours
    return sdk_agent.Agent(ours), ours
