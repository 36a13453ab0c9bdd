"""Put the pieces of an answer together, with a blank line between the texts of two steps."""

from __future__ import annotations

from collections.abc import Iterable

from agy_nb.protocol.events import Error, Event, Text


class TextSeparator:
    r"""Separate the texts on both sides of a tool call, which are two steps.

    Example:
        >>> from agy_nb.protocol.events import Text
        >>> separator = TextSeparator()
        >>> [separator.take(Text(text=text, step_index=n)) for text, n in [("I", 1), ("Done", 3)]]
        ['I', '\n\nDone']
    """

    def __init__(self) -> None:
        self._step: int | None = None
        self._end = ""

    def take(self, event: Text) -> str:
        """Return the text of an event, after the blank line that it needs."""
        text = event.text
        if event.step_index != self._step and self._end.strip():
            breaks = len(self._end) - len(self._end.rstrip("\n"))
            breaks += len(text) - len(text.lstrip("\n"))
            text = "\n" * max(0, 2 - breaks) + text
        self._step = event.step_index
        self._end = f"{self._end}{text}"[-3:]
        return text


def answer_text(events: Iterable[Event]) -> str:
    """Return the root agent's text of one turn.

    If the model's answer failed and the harness asked again, the failed text is left out as soon as
    the next answer begins.
    """
    pieces: list[Text] = []
    refused: int | None = None
    for event in events:
        if not event.trajectory.is_root:
            continue
        if isinstance(event, Error) and event.refused_step is not None:
            refused = event.refused_step
        elif isinstance(event, Text):
            if refused is not None:
                pieces = [piece for piece in pieces if piece.step_index != refused]
                refused = None
            pieces.append(event)
    separator = TextSeparator()
    return "".join(map(separator.take, pieces))
