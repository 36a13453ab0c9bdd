"""Independent iterators over the events of one turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from agy_nb.protocol.events import Event
from agy_nb.protocol.short_repr import html_items, html_table

if TYPE_CHECKING:
    from agy_nb.runtime.turns.response import Response

T = TypeVar("T")
E = TypeVar("E", bound=Event)


class ResponseStream(Generic[T]):
    """Iterate over one kind of item of a turn, such as its text or its tool calls.

    `async for` follows the turn live from its beginning, and raises the error that ended it. A
    plain `for` yields the items so far. You can start both any number of times.

    Args:
        response: The turn.
        begin: Returns a function for one iteration. That one returns the item of an event, None to
            skip the event.

    Example:
        >>> response = await agent.chat("Use get_weather for Paris")
        >>> async for call in response.tool_calls:
        ...     print(call.name, call.args["city"])
        get_weather Paris
        >>> [result.result for result in response.tool_results]
        ['sunny in Paris']
    """

    def __init__(
        self, response: Response, begin: Callable[[], Callable[[Event], T | None]]
    ) -> None:
        self._response = response
        self._begin = begin

    async def __aiter__(self) -> AsyncIterator[T]:
        pick = self._begin()
        async for event in self._response._log.follow():  # noqa: SLF001 - of this package
            item = pick(event)
            if item is not None:
                yield item
        self._response._raise_error()  # noqa: SLF001

    def __iter__(self) -> Iterator[T]:
        pick = self._begin()
        for event in tuple(self._response.event_log):
            item = pick(event)
            if item is not None:
                yield item

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<{len(self)} so far, turn {self._response.turn_id} {self._response.state}>"

    def _repr_html_(self) -> str:
        """Show the items so far in a notebook."""
        items = list(self)
        head = f"{len(items):,} so far, turn {self._response.turn_id} {self._response.state}"
        if any(isinstance(item, str) for item in items):
            return html_table((head,), [["".join(map(str, items))]])
        return html_items(items, head)


def items_of_type(kind: type[E]) -> Callable[[Event], E | None]:
    """Return a function that picks the events of one type."""
    return lambda event: event if isinstance(event, kind) else None
