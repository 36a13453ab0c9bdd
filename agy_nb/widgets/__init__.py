"""Views for notebooks: chats that stream, approvals, questions, usage.

Each name is loaded on first use: nothing here is imported before a view is shown.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from agy_nb.widgets.approvals.approver import Approver, approve
    from agy_nb.widgets.chat.panel import ChatPanel
    from agy_nb.widgets.chat.recorded_chat import RecordedChat, chat_ui
    from agy_nb.widgets.response.response_view import show

_HOMES = {
    "Approver": "approvals.approver",
    "ChatPanel": "chat.panel",
    "RecordedChat": "chat.recorded_chat",
    "approve": "approvals.approver",
    "chat_ui": "chat.recorded_chat",
    "show": "response.response_view",
}

__all__ = ["Approver", "ChatPanel", "RecordedChat", "approve", "chat_ui", "show"]


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - whatever the name stands for
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
