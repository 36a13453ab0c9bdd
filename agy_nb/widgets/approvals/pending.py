"""Pending approvals and questions, and the views that can show them.

The code that asks adds a request. Every view that contains it shows it, and the first valid reply
from any of them resolves it. A later reply, or one for another request, is ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from agy_nb.protocol.values import JsonObject
from agy_nb.widgets.tree.front_end_messages import AnswerAll, Decide

Claim: TypeAlias = Callable[["PendingRequest"], bool]
"""Shows a request; returns whether the view contains it."""

Reply: TypeAlias = Decide | AnswerAll
"""The messages that resolve a request."""

Validator: TypeAlias = Callable[[Reply], str]
"""Describes why a reply is invalid; empty for a valid one."""


def _accept(_reply: Reply) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """An approval or a question that waits for the user.

    Attributes:
        id: The id of the approval or question in the turn's events.
        controls: The data from which the front end makes the buttons.
        answer: Resolves to the front end's reply.
        shown: Done when a front end has shown the request.
        validate: Checks a reply.
    """

    id: str
    controls: JsonObject
    answer: asyncio.Future[Reply]
    shown: asyncio.Future[None]
    validate: Validator = _accept


class PendingRequests:
    """The requests of this process; all views share `pending_requests`."""

    def __init__(self) -> None:
        self._requests: dict[str, PendingRequest] = {}
        self._claims: list[Claim] = []

    def attach_view(self, claim: Claim) -> Callable[[], None]:
        """Register a view that may show new requests.

        Returns:
            A function that removes the view; it may be called twice.
        """
        self._claims.append(claim)
        return lambda: self._detach(claim)

    def _detach(self, claim: Claim) -> None:
        self._claims = [known for known in self._claims if known is not claim]

    def add(
        self, key: str, controls: JsonObject, validate: Validator = _accept
    ) -> tuple[PendingRequest, bool]:
        """Add a request; call `remove` when it no longer waits.

        Args:
            key: The id of the approval or question in the turn's events.
            controls: The data from which the front end makes the buttons.
            validate: Checks a reply; an invalid one does not resolve the request.

        Returns:
            The request, and whether any view shows it.
        """
        loop = asyncio.get_running_loop()
        request = PendingRequest(
            key, controls, loop.create_future(), loop.create_future(), validate
        )
        self._requests[key] = request
        # A list, because `any` alone would stop at the first view that shows the request.
        claimed = [claim(request) for claim in tuple(self._claims)]
        return request, any(claimed)

    def get(self, key: str) -> PendingRequest | None:
        """Return the request with an id, None if there is none."""
        return self._requests.get(key)

    def remove(self, request: PendingRequest) -> None:
        """Remove a request and cancel its futures."""
        if self._requests.get(request.id) is request:
            del self._requests[request.id]
        for future in (request.answer, request.shown):
            future.cancel()

    def resolve(self, reply: Reply) -> bool:
        """Resolve a request with the user's reply; return whether the reply counted."""
        request = self._requests.get(reply.id)
        if request is None or request.answer.done() or self.validate(reply):
            return False
        request.answer.set_result(reply)
        return True

    def validate(self, reply: Reply) -> str:
        """Describe why a reply is invalid; empty if it is valid or its request is unknown."""
        request = self._requests.get(reply.id)
        if request is None:
            return ""
        if (request.controls.get("type") == "question") is not isinstance(reply, AnswerAll):
            return "This reply does not match the request."
        return request.validate(reply)

    def mark_shown(self, key: str) -> None:
        """Record that a front end shows a request."""
        request = self._requests.get(key)
        if request is not None and not request.shown.done():
            request.shown.set_result(None)


pending_requests: PendingRequests = PendingRequests()
"""The pending approvals and questions of this process."""
