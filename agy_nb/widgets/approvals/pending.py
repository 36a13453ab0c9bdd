"""The desk: what waits for a person, and the views that can show it.

Rule 1: who asks puts it on the desk; the first view that shows it has it, and any may answer it.
Rule 2: only the first answer counts; one that comes late, twice or for something else is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from agy_nb.protocol.values import JsonObject
from agy_nb.widgets.tree.front_end_messages import AnswerAll, Decide

Claim: TypeAlias = Callable[["PendingRequest"], bool]
"""Shows what waits; tells whether it could."""

Reply: TypeAlias = Decide | AnswerAll
"""The messages that answer what waits."""

Objection: TypeAlias = Callable[[Reply], str]
"""Says what is wrong with a reply; empty for one that counts."""


def _none(_reply: Reply) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """An approval or a question that waits for a person.

    Attributes:
        id: What the events call it.
        controls: What the front end needs to make its buttons.
        answer: The message of the front end that answers it.
        seen: Done once a front end has shown it.
        objection: What is wrong with a reply.
    """

    id: str
    controls: JsonObject
    answer: asyncio.Future[Reply]
    seen: asyncio.Future[None]
    objection: Objection = _none


class PendingRequests:
    """What waits for a person in this process. `desk` is the one that all views use."""

    def __init__(self) -> None:
        self._waiting: dict[str, PendingRequest] = {}
        self._claims: list[Claim] = []

    def attach(self, claim: Claim) -> Callable[[], None]:
        """A view is there that may show what comes.

        Returns:
            A function that takes it away; it may be called twice.
        """
        self._claims.append(claim)
        return lambda: self._detach(claim)

    def _detach(self, claim: Claim) -> None:
        self._claims = [known for known in self._claims if known is not claim]

    def put(
        self, key: str, controls: JsonObject, objection: Objection = _none
    ) -> tuple[PendingRequest, bool]:
        """Something waits from now on; call `take` when it does no more.

        Args:
            key: What the events call it.
            controls: What the front end needs to make its buttons.
            objection: Says what is wrong with a reply; one that is wrong does not count.

        Returns:
            It, and whether any view shows it.
        """
        loop = asyncio.get_running_loop()
        waiting = PendingRequest(
            key, controls, loop.create_future(), loop.create_future(), objection
        )
        self._waiting[key] = waiting
        claimed = [claim(waiting) for claim in tuple(self._claims)]
        return waiting, any(claimed)

    def get(self, key: str) -> PendingRequest | None:
        """What waits under an id, None when nothing does."""
        return self._waiting.get(key)

    def take(self, waiting: PendingRequest) -> None:
        """It waits no more."""
        if self._waiting.get(waiting.id) is waiting:
            del self._waiting[waiting.id]
        for future in (waiting.answer, waiting.seen):
            future.cancel()

    def answer(self, reply: Reply) -> bool:
        """A person has answered; tell whether that counts."""
        waiting = self._waiting.get(reply.id)
        if waiting is None or waiting.answer.done() or self.objection(reply):
            return False
        waiting.answer.set_result(reply)
        return True

    def objection(self, reply: Reply) -> str:
        """What is wrong with a reply to what waits; empty where nothing is, or waits."""
        waiting = self._waiting.get(reply.id)
        if waiting is None:
            return ""
        if (waiting.controls.get("type") == "question") is not isinstance(reply, AnswerAll):
            return "This reply does not match the request."
        return waiting.objection(reply)

    def see(self, key: str) -> None:
        """A front end shows it."""
        waiting = self._waiting.get(key)
        if waiting is not None and not waiting.seen.done():
            waiting.seen.set_result(None)


desk = PendingRequests()
"""Where this process's approvals and questions wait."""
