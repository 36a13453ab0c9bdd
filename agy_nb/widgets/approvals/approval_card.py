"""A separate card for an approval or a question of a turn that no view shows."""

from __future__ import annotations

import contextlib
from typing import Any

from agy_nb.protocol.events import Approval, Question
from agy_nb.widgets.approvals.pending import pending_requests
from agy_nb.widgets.response.static_html import bundle
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.front_end import append_in_marimo, in_marimo
from agy_nb.widgets.tree.live_view import LiveView
from agy_nb.widgets.tree.view_widget import display_widget


class ApprovalCard:
    """Show one pending approval or question in the cell that started the turn.

    Args:
        event: The pending approval or question.
    """

    def __init__(self, event: Approval | Question) -> None:
        self._transcript = ConversationView()
        self._transcript.on_event(event)
        self._view = LiveView(self._transcript)
        key = event.approval_id if isinstance(event, Approval) else event.question_id
        if (pending := pending_requests.get(key)) is not None:
            self._view.claim(pending)
        self._handle: Any = None
        if not in_marimo():
            self._handle = display_widget(self._view.widget)
        else:
            append_in_marimo(self._view.widget)

    def resolve(self, event: Approval | Question) -> None:
        """Replace the buttons by the decision."""
        self._view.on_event(event)
        if self._handle is None:
            return
        with contextlib.suppress(Exception):  # a front end that is closed must not fail the turn
            self._handle.update(bundle(self._transcript), raw=True)
            self._view.leave()
