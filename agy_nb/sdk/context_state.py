"""What tools and hooks keep in their contexts, from one harness of an agent to the next.

The SDK makes new contexts for each harness. To the user there is one agent, so what a tool has put
into its `ToolContext`, and a hook into its session context, must outlive a harness.
"""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger("agy_nb.runtime")


class ContextState:
    """The state of one agent's tools and hooks."""

    def __init__(self) -> None:
        self._of_tools: Any = None
        self._of_hooks: Any = None

    def follow(self, tool_runner: Any, hook_runner: Any) -> None:
        """Have the contexts of another harness continue those of the one before.

        Args:
            tool_runner: The SDK's, before it has its context.
            hook_runner: The SDK's.
        """
        set_context = tool_runner.set_context

        def set_and_keep(context: Any) -> None:
            if self._of_tools is not None and not _share(self._of_tools, context):
                _log.warning(
                    "the harness was started again, and the state in ToolContext was lost: this "
                    "version of the SDK does not let agy_nb copy it"
                )
            self._of_tools = context
            set_context(context)

        tool_runner.set_context = set_and_keep
        if self._of_hooks is None:
            self._of_hooks = hook_runner.session_context
        else:
            hook_runner.session_context = self._of_hooks


def _share(old: Any, new: Any) -> bool:
    """Make two of the SDK's state stores share a state; return whether that worked."""
    names = ("_store", "_lock")
    if not all(hasattr(store, name) for store in (old, new) for name in names):
        return False
    for name in names:
        setattr(new, name, getattr(old, name))
    return True
