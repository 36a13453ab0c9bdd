"""Choose a recorded session and its first turns, and refuse those that cannot be rebuilt.

The harness runs its own tools by itself, and makes their results from the disk.
The recording has no results that it could take instead, and a second run could change files. So a
turn with such a call is refused before anything starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agy_nb.cassette.errors import RebuildError
from agy_nb.cassette.storage.cassette_reader import Cassette, RecordedSession
from agy_nb.cassette.storage.format import Frame
from agy_nb.cassette.storage.model_log import has_model
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.turn_numbers import index_of
from agy_nb.wire import frames as f
from agy_nb.wire.frames import TURN_KINDS, kind_of, turn_ended
from agy_nb.wire.json_values import object_of

_MOST_LISTED = 8
"""Sessions that an error lists."""


@dataclass(frozen=True, slots=True)
class RecordedTurns:
    """The first turns of a recorded session.

    Attributes:
        session: The session up to the end of the last turn.
        turn: Number of turns.
    """

    session: RecordedSession
    turn: int


def first_turns(cassette: Cassette, turn: int | None, number: int | None) -> RecordedTurns:
    """Return the turns of a recording that an agent is to continue.

    Args:
        cassette: The recording.
        turn: The last turn: 1 for the first, 0 for none, -1 for the last; None for all.
        number: Number of the session; None if only one session has turns.

    Raises:
        InvalidInputError: The session or the turn does not exist.
        RebuildError: The turns cannot be rebuilt.
    """
    session = _chosen(cassette, number)
    where = f"session {session.number} of {cassette.path}"
    starts = _starts(session)
    last = index_of(turn, len(starts), where)
    cut = RecordedSession(session.number)
    end = starts[last] if last < len(starts) else len(session.lines)
    cut.lines = session.lines[:end]
    if not last:
        return RecordedTurns(cut, 0)
    path = str(cassette.path)
    if any(object_of(line.frame.get(f.INITIALIZED)).get("history") for line in cut.lines):
        raise RebuildError(
            f"{where} continues an earlier conversation, as after a resume, a fork or a rewind. "
            "Only the session that begins a conversation can be rebuilt; pass its number as "
            "session=",
            path=path,
        )
    if not has_model(cassette.path):
        raise RebuildError(
            f"{cassette.path} has no recorded requests to the model, so its conversation cannot "
            "be rebuilt. Record it again with record_mode='all' and record_model=True, the default",
            path=path,
        )
    for at, what in _refused(cut):
        raise RebuildError(f"turn {at} of {where} {what}. {_instead(at)}", path=path)
    if not any(turn_ended(line.frame) for line in cut.lines[starts[last - 1] :]):
        raise RebuildError(
            f"turn {last} of {where} has no end in the recording. {_instead(last)}", path=path
        )
    return RecordedTurns(cut, last)


def _chosen(cassette: Cassette, number: int | None) -> RecordedSession:
    found = {session.number: session for session in cassette.sessions if session.config}
    if number is not None:
        if number in found:
            return found[number]
        raise InvalidInputError(
            f"{cassette.path} has no session {number}; it has {_listed(found.values())}",
            field="session",
        )
    with_turns = [session for session in found.values() if _starts(session)]
    if len(with_turns) == 1:
        return with_turns[0]
    if not with_turns:
        raise RebuildError(
            f"{cassette.path} has no turns to continue. Record a conversation first",
            path=str(cassette.path),
        )
    raise InvalidInputError(
        f"{cassette.path} has several sessions: {_listed(with_turns)}. Pass the number of one as "
        f"session=; `agy-nb cassette show {cassette.path}` prints them",
        field="session",
    )


def _listed(sessions: Iterable[RecordedSession]) -> str:
    words = [f"{each.number} ({counted(len(_starts(each)), 'turn')})" for each in sessions]
    more = len(words) - _MOST_LISTED
    return ", ".join(words[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _starts(session: RecordedSession) -> list[int]:
    """Return the places of the frames that begin a turn."""
    return [
        place
        for place, line in enumerate(session.lines)
        if line.direction == "client" and kind_of(line.frame) in TURN_KINDS
    ]


def _instead(turn: int) -> str:
    """Return what to do when a turn cannot be rebuilt."""
    if turn > 1:
        return f"Fork an earlier turn: turn={turn - 1}"
    return (
        "No earlier turn can be forked. Next time, pass a save_dir to the agent: then you can "
        "resume its conversation, with the calls of all tools"
    )


def _refused(session: RecordedSession) -> Iterator[tuple[int, str]]:
    """Yield the turns that cannot be rebuilt, each with the reason."""
    turn = 0
    for line in session.lines:
        if line.direction == "client":
            kind = kind_of(line.frame)
            turn += kind in TURN_KINDS
            if kind == f.TRIGGER:
                yield turn, "begins with a trigger, after which the harness goes on by itself"
        elif why := _why_refused(object_of(line.frame.get(f.STEP))):
            yield max(1, turn), why


def _why_refused(step: Frame) -> str:
    if f.MCP_TOOL in step:
        call = object_of(step[f.MCP_TOOL])
        tool, server = call.get(f.TOOL_NAME) or call.get(f.NAME), call.get(f.SERVER_NAME)
        return (
            f"calls the MCP tool {tool!r} of the server {server!r}, which would run a second time"
        )
    called = [tool for field, tool in f.BUILTIN_TOOLS.items() if field in step]
    if step.get(f.PARENT_ID) or "invoke_subagent" in called:
        return "starts a subagent, whose work would run a second time"
    if called:
        return f"calls the built-in tool {called[0]!r}, which would run a second time"
    if f.COMPACTION in step:
        return "compacts the conversation, which cannot be rebuilt exactly"
    return ""
