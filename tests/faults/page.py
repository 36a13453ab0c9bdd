"""The table as a page of the documentation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.faults.cells import ENDED, Fault, Phase, Row, Seen
from tests.faults.faults import GROUPS
from tests.faults.runner import CHAT_TIMEOUT_S, START_TIMEOUT_S

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

INTRODUCTION = f"""# Reliability

What a user sees when something breaks, and what works afterwards. `make soak` runs every cell: the
real SDK and its real harness, a scripted model on loopback, and the fault while the agent starts,
is idle, streams an answer, runs a tool, waits for an approval or shuts down. What was seen stands
here; `make test` runs the most telling cells again.

Each cell holds to this:

- The error is one of `agy_nb`, and is seen within the seconds of its row. They belong to
  `RuntimeConfig(chat_timeout={CHAT_TIMEOUT_S:g}, start_timeout={START_TIMEOUT_S:g})` and to a
  harness that does not try the model again; with limits of your own, a silence lasts as long as
  those. On a busy machine the test stretches all of them: by as many times as a sound start takes
  longer than a second.
- The event loop never stalls for two seconds (stretched alike), so views and clicks stay alive; for
  ten where a model sends 100 MB of text, of which the harness makes frames that are parsed whole.
- The same agent answers the next prompt. Where its harness is gone, another one takes the
  conversation up.
- Another agent of the same runtime works.
- Once the runtime is closed nothing is left: no process, task, thread, open file or socket.

The phases: *start* while the harness comes up; *idle* before the next prompt; *streaming* in the
middle of an answer (a model at fault: its first call); *tool* while a host tool runs (a model at
fault: the call with its result); *approval* while the user is asked; *shutdown* as
`agent.shutdown()` is called in the middle of a turn. A phase that a fault cannot come in has no
row.
"""

HEAD = """| fault | phase | what is seen | within | next turn | next agent | left |
| --- | --- | --- | --- | --- | --- | --- |"""

NOTES = """## Notes

- A tool that blocks its thread cannot be ended; the thread ends with the tool. The turn, the agent
  and the runtime do not wait for it.
- A harness that cannot write goes on with what it holds in memory: the answer comes, and the
  conversation may be gone with the harness.
- An answer beyond a million characters ends the turn: the harness repeats the whole text with each
  piece of it.
- A harness that hangs at a shutdown has five seconds; then it is ended.
"""


@dataclass(frozen=True)
class Line:
    """One row of the page."""

    fault: str
    phase: str
    seen: str
    within: str
    next_turn: str
    next_agent: str
    left: str

    @classmethod
    def of(cls, fault: Fault, phase: Phase, row: Row) -> Self:
        """What a cell came to, without any figure that changes from run to run."""
        expected = fault.seen[phase]
        return cls(
            fault=fault.name,
            phase=phase.value,
            seen=_among(expected, row.seen),
            within=f"{expected.within:g} s",
            next_turn="" if row.next_turn is None else row.next_turn or "works",
            next_agent=row.next_agent or "works",
            left=row.left or "nothing",
        )

    @classmethod
    def expected(cls, fault: Fault, phase: Phase) -> Self:
        """What a cell is to come to."""
        has_next = phase not in (Phase.START, Phase.SHUTDOWN) or _starts(fault.seen[phase])
        good = Row(
            pace=1,
            seen=fault.seen[phase].what[0],
            seconds=0,
            stall=0,
            next_turn="" if has_next else None,
            next_agent="",
            left="",
        )
        return cls.of(fault, phase, good)

    def __str__(self) -> str:
        return f"| {' | '.join(asdict(self).values())} |"


def _starts(seen: Seen) -> bool:
    return not any(":" in what or what == ENDED for what in seen.what)


def _among(expected: Seen, seen: str) -> str:
    """Where chance decides, all that it may be."""
    return ", or ".join(expected.what) if seen in expected.what else seen


def page(lines: Mapping[tuple[str, str], Line]) -> str:
    """The page.

    Args:
        lines: By fault and phase, of every cell.
    """
    parts = [INTRODUCTION]
    for group in GROUPS:
        rows = [
            str(lines[fault.name, phase.value])
            for fault in group.faults
            for phase in Phase
            if phase in fault.seen
        ]
        parts.append("\n".join([f"## {group.title}", "", HEAD, *rows, ""]))
    return "\n".join([*parts, NOTES])
