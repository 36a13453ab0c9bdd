"""The table as a page of the documentation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.faults.cells import ENDED, Fault, Phase, Row, Seen
from tests.faults.crashes import table
from tests.faults.faults import GROUPS
from tests.faults.runner import CHAT_TIMEOUT_S, START_TIMEOUT_S

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

INTRODUCTION = f"""# Reliability

Look up the error that you see when something breaks, and how the agent continues. In short:

```python
try:
    print(await agent.chat_text("Hello"))
except agy.AgyError as error:
    print(error)
print(await agent.chat_text("Hello again"))  # works; a new harness continues the conversation
```

`make soak` tests every row with the real SDK and its real harness, and a scripted model on
loopback. `make test` runs a selection. Each row satisfies these rules:

- The error is an `agy.AgyError`, and occurs within the seconds of its row. The seconds apply to
  `RuntimeConfig(chat_timeout={CHAT_TIMEOUT_S:g}, start_timeout={START_TIMEOUT_S:g})` and
  to a harness without retries. With larger limits, it takes longer to detect a silent
  harness or model. On a busy machine the test multiplies all times by the factor by which a start
  is slower.
- The event loop never stalls for two seconds, so views and clicks work. With a model that sends
  100 MB of text, the limit is ten seconds.
- The same agent answers the next prompt. If its harness is gone, a new one continues the
  conversation.
- Another agent of the same runtime works.
- After the runtime is closed, no process, task, thread, open file or socket is left.

The phases are:

- *start*: the harness starts
- *idle*: before the next prompt
- *streaming*: in the middle of an answer (fault of a model: its first call)
- *tool*: while a host tool runs (fault of a model: the call with its result)
- *approval*: while the user is asked
- *shutdown*: `agent.shutdown()` in the middle of a turn

A phase in which a fault cannot occur has no row.
"""

HEAD = """| fault | phase | result | within | next turn | next agent | left |
| --- | --- | --- | --- | --- | --- | --- |"""

RECORDINGS = f"""## Recordings

A recording is killed with SIGKILL at each write, and the disk is full from each write on. Then
there is one whole cassette:

{table()}

- If the disk is full, you get a `CassetteNotWrittenError`. If the cassette is the new one, only the
  removal of the old one was left.
- A partial recording stays beside the cassette. The message of the error and the log of the next
  recording say where, and `agy-nb cassette prune --yes` removes it.
- The next recording works, and no lock is left.

A task is cancelled at each await:

| cancelled task | result |
| --- | --- |
| the start of `use_cassette` | the cassette is unchanged, and can be used again at once |
| the start of an agent in the block | the block ends as usual, and the cassette can be used again |
| the end of `use_cassette` | the recording is saved; then `CancelledError` is raised |
"""

NOTES = """## Notes

- A tool that blocks its thread cannot be ended. The thread ends with the tool. The turn, the agent
  and the runtime do not wait for it.
- A harness that cannot write to disk continues in memory. The answer arrives, but the conversation
  may be lost when the harness ends.
- An answer of more than a million characters ends the turn, because the harness repeats the whole
  text with each piece.
- A harness that hangs at a shutdown is killed after five seconds.
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
    return "\n".join([*parts, RECORDINGS, NOTES])
