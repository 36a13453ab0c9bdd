"""A card of its own, for an approval or a question of a turn that no view shows."""

from __future__ import annotations

import contextlib
from typing import Any

from agy_nb.protocol.events import Approval, Question
from agy_nb.widgets.approvals.pending import desk
from agy_nb.widgets.response.static_html import bundle
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.live_view import LiveView, put_on_page


class ApprovalCard:
    """Shows one thing that waits, in the cell that the turn was started in.

    Args:
        event: It, pending.
    """

    def __init__(self, event: Approval | Question) -> None:
        self._transcript = ConversationView()
        self._transcript.on_event(event)
        self._view = LiveView(self._transcript)
        key = event.approval_id if isinstance(event, Approval) else event.question_id
        if (waiting := desk.get(key)) is not None:
            self._view.claim(waiting)
        self._handle: Any = put_on_page(self._view.widget)

    def end(self, event: Approval | Question) -> None:
        """It waits no more: what was decided stays on the page."""
        self._transcript.on_event(event)
        with contextlib.suppress(Exception):  # a front end that is gone harms no turn
            self._handle.update(bundle(self._transcript), raw=True)
            self._view.leave()
