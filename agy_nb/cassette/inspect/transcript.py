"""Print a cassette as text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from agy_nb.cassette.inspect.recorded_events import RecordedEvents
from agy_nb.cassette.storage.format import WireRecord, read_lines
from agy_nb.protocol.events import AgentStarted, Event, TurnBegan, TurnsAbandoned
from agy_nb.wire.summaries.branch_tree import BranchTree
from agy_nb.wire.summaries.render import SessionText

_KEPT = 64
"""Sessions kept after their end, because host notes may follow the end of a harness."""


def transcript(path: Path) -> Iterator[str]:
    """Yield the lines of a cassette's text: prompts, answers, tool calls and decisions.

    The order is that of the recording. If several sessions ran at the same time, a heading marks
    each change of the session. The tree of forks and rewinds follows, if there are any.

    Args:
        path: The cassette's folder.

    Raises:
        CassetteInvalidError: A line is damaged.
    """
    shown: int | None = None
    tree = BranchTree()
    for number, line in _written(read_lines(path), tree):
        if shown != number:
            shown = number
            yield f"Session {number}"
        yield line
    yield from tree.lines()


def _written(lines: Iterable[WireRecord], tree: BranchTree) -> Iterator[tuple[int, str]]:
    sessions: dict[int, _Session] = {}
    ended: deque[int] = deque()
    for line in lines:
        number = line.session
        session = sessions.get(number)
        if session is None:
            session = sessions[number] = _Session(number, tree)
        for text in session.take(line):
            yield number, text
        if line.direction == "end":
            ended.append(number)
            if len(ended) > _KEPT:
                del sessions[ended.popleft()]
    for number in sorted(sessions.keys() - set(ended)):
        for text in sessions[number].cut_off():
            yield number, text


class _Session:
    def __init__(self, number: int, tree: BranchTree) -> None:
        self._number, self._tree = number, tree
        self._events = RecordedEvents()
        self._text = SessionText()

    def take(self, line: WireRecord) -> Iterator[str]:
        for event in self._events.take(line):
            self._branch(event)
            yield from self._text.take(event)

    def _branch(self, event: Event) -> None:
        if isinstance(event, AgentStarted):
            self._tree.started(self._number, event)
        elif isinstance(event, TurnsAbandoned):
            self._tree.rewind(self._number, event)
        elif isinstance(event, TurnBegan):
            self._tree.turn(self._number, 0)

    def cut_off(self) -> Iterator[str]:
        for event in self._events.end(None):
            yield from self._text.take(event)
