"""Which turns a chat panel shows, and the controls of each: edit, retry, other branches.

Editing a prompt and retrying a turn take the panel's agent itself back with `Agent.rewind`, and
then send the prompt. The turns after it are abandoned and stay reachable: a switch calls
`rewind(-1, branch=...)`. A fork would be another agent. The variable in the user's cells would then
be an agent that the panel does not show, with another number in the tables. So a panel never makes
forks. To see two branches side by side, fork one of them and show both panels in a row.

An agent also goes back when other code calls `rewind`, so the panel follows `watch_branches`.
"""

from __future__ import annotations

from collections.abc import Iterable

from agy_nb.errors import AgentNotStartedError
from agy_nb.protocol.events import Event, SessionOpened, TurnBegan
from agy_nb.runtime.agent import Agent
from agy_nb.runtime.checkpoints.turn_places import TurnPlace
from agy_nb.runtime.turns.response import Response
from agy_nb.widgets.chat.earlier_turns import Turn, by_number, split
from agy_nb.widgets.response.cards import text_of
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.nodes import TurnControls

LATER_TURNS = "The agent went back to this turn."
ENDED = "This agent was shut down."
_RESUMED = "This turn is from before this agent continued the conversation."
_TOO_OLD = "The agent no longer has the state before this turn."
_ITS_OWN = "The agent began this turn itself."
_NOT_KEPT = "The state before this turn cannot be restored: {}."


class PanelBranches:
    """The turns of an agent that its panel knows, and the controls of those that are shown.

    Args:
        agent: The agent.
        transcript: The nodes of the panel.

    Attributes:
        responses: All turns since the panel was made, by the runtime's number of the turn.
        head: Events of the conversation from before the first turn with a number.
    """

    def __init__(self, agent: Agent, transcript: ConversationView) -> None:
        self.responses: dict[int, Response] = {}
        self.head: Turn = ()
        self._agent = agent
        self._transcript = transcript
        self._earlier: dict[int, Turn] = {}
        self._turn_of: dict[str, int] = {}
        self._resumed: set[str] = set()
        self._places: dict[int, TurnPlace] = {}
        self._later: tuple[str, TurnPlace] | None = None

    async def read(self, events: Iterable[Event]) -> None:
        """Take the events from before the panel, from `Agent.past_events`."""
        places = await self._agent.turn_places()
        own = [each.turn_id for each in places if each.turn_id]
        head, turns = split(events)
        if any(isinstance(event, TurnBegan) for turn in turns for event in turn):
            left = {number for each in self._agent.abandoned for number in each.turn_ids}
            own = sorted({*own, *left})  # frames are those of all turns, messages are not
            own = [each for each in own if each not in self.responses]
        first, known = by_number(self._ended(turns), own)
        self._earlier = {key: turn for key, turn in known.items() if key not in self.responses}
        self.head = head + first

    def _ended(self, turns: list[Turn]) -> list[Turn]:
        """Leave out the messages of the turn that runs; its events are shown live."""
        runs = next((each for each in self.responses.values() if not each.done), None)
        last = turns[-1][0] if turns and turns[-1] else None
        if runs is None or not isinstance(last, SessionOpened):
            return turns
        return turns[:-1] if last.history[0].content == text_of(runs.prompt) else turns

    async def path(self) -> tuple[list[Turn], list[Response]]:
        """Return the turns of the agent's conversation from before the panel, and those since."""
        places = await self._agent.turn_places()
        numbers = [each.turn_id for each in places if each.turn_id]
        if any(each not in self.responses and each not in self._earlier for each in numbers):
            _, turns = split([SessionOpened(history=await self._agent.history())])
            _, known = by_number(self._ended(turns), numbers)
            self._earlier = known | self._earlier
        return (
            [self._earlier[each] for each in numbers if each in self._earlier],
            [self.responses[each] for each in numbers if each in self.responses],
        )

    def still_running(self, shown: list[Response], path: list[Response]) -> list[Response]:
        """Return the turns that follow a path: they run, or their state is not kept yet."""
        last = max((each.turn_id for each in path), default=0)
        left = {number for each in self._agent.abandoned for number in each.turn_ids}
        return [
            each
            for each in shown
            if each not in path
            and (not each.done or (each.turn_id > last and each.turn_id not in left))
        ]

    def number_of(self, turn: Turn) -> int | None:
        """Return the runtime's number of a turn from before the panel."""
        return next((number for number, each in self._earlier.items() if each is turn), None)

    def shown(self, node: str, turn_id: int | None) -> None:
        """Note that a prompt's node belongs to a turn; None for one of before the agent resumed."""
        if not node:
            return
        if turn_id is None:
            self._resumed.add(node)
        else:
            self._turn_of[node] = turn_id

    def clear(self) -> None:
        """Forget which nodes are shown."""
        self._turn_of.clear()
        self._resumed.clear()
        self._later = None

    def place_of(self, node: str) -> TurnPlace | None:
        """Return the place of a prompt in the conversation; None if it is not part of it."""
        if self._later is not None and node == self._later[0]:
            return self._later[1]
        return self._places.get(self._turn_of.get(node, 0))

    async def update(self) -> None:
        """Put the controls of all prompts right."""
        why = ""
        try:
            places = await self._agent.turn_places()
        except AgentNotStartedError:
            places, why = (), ENDED
        self._places = {each.turn_id: each for each in places if each.turn_id}
        for node, prompt in self._transcript.prompts.items():
            place = self.place_of(node)
            found = TurnControls(why_not=self._why_no_place(node))
            if place is not None:
                found = _controls(place)
            self._transcript.set_controls(node, found.disabled(why or ("" if prompt else _ITS_OWN)))
        last = places[-1] if places and places[-1].turn_id is None else None
        self._show_later(last)

    def _why_no_place(self, node: str) -> str:
        if node in self._resumed:
            return _RESUMED
        first = min(self._places, default=0)
        return _TOO_OLD if self._turn_of.get(node, first) < first else ""

    def _show_later(self, place: TurnPlace | None) -> None:
        if self._later is not None and (place is None or place != self._later[1]):
            self._transcript.drop(self._later[0])
            self._later = None
        if place is not None and self._later is None and not self._runs:
            node = self._transcript.add_notice(LATER_TURNS)
            self._later = node, place
            self._transcript.set_controls(node, _controls(place))

    @property
    def _runs(self) -> bool:
        return any(not each.done for each in self.responses.values())

    def sibling_of(self, node: str) -> int | None:
        """Return the abandoned branch that parts here: of the version before, else the next one."""
        place = self.place_of(node)
        if place is None or place.turn_id is None:
            return None
        branches = [each.branch for each in place.versions]
        at = branches.index(None)
        around = branches[at - 1 : at] or branches[at + 1 : at + 2]
        return around[0] if around else None

    async def go_before(self, node: str) -> None:
        """Take the agent back before the turn of a prompt, if that is part of the conversation.

        Raises:
            AgyError: The agent cannot go back.
        """
        place = self.place_of(node)
        if place is not None:
            await self._agent.rewind(place.turn - 1)

    async def switch(self, node: str, to: int) -> None:
        """Let the agent continue the branch of another version of a turn.

        Args:
            node: The prompt.
            to: The number of the version, from 1.

        Raises:
            AgyError: The agent cannot continue it.
        """
        place = self.place_of(node)
        if place is None or not 1 <= to <= len(place.versions):
            return
        branch = place.versions[to - 1].branch
        if branch is not None:
            await self._agent.rewind(-1, branch=branch)


def _controls(place: TurnPlace) -> TurnControls:
    numbers = [each.turn_id for each in place.versions]
    return TurnControls(
        at=0 if place.turn_id is None else numbers.index(place.turn_id) + 1,
        of=len(numbers),
        why_not=_NOT_KEPT.format(place.why_not) if place.why_not else "",
        closed=tuple(
            f"This branch cannot be restored: {each.why_not}." if each.why_not else ""
            for each in place.versions
        ),
    )
