"""Everything that goes wrong in the table, and what is to be seen of it."""

from collections.abc import Iterable
from typing import NamedTuple

from agy_nb.testing import HALF_A_CHUNK, ModelTurn, drop, fail, garbage, hang, say
from tests.faults import acts
from tests.faults.cells import ANSWER, ENDED, Fault, Phase, Seen

START, IDLE, STREAMING = Phase.START, Phase.IDLE, Phase.STREAMING
TOOL, APPROVAL, SHUTDOWN = Phase.TOOL, Phase.APPROVAL, Phase.SHUTDOWN
IN_TURN = (STREAMING, TOOL, APPROVAL)
CALLS = (STREAMING, TOOL)
"""The model is called for the prompt, and with a tool's result."""

FINE = Seen(what=(ANSWER,))
GONE = Seen(what=("HarnessError: the harness has ended",))
SILENT = Seen(what=("AgyTimeoutError: chat took longer than its limit",), within=6)
NO_START = Seen(what=("HarnessError: the agent did not start",))
LATE_START = Seen(what=("AgyTimeoutError: create_agent took longer than its limit",), within=8)
OVER = Seen(what=(ENDED,))
CHANCE = Seen(what=(ANSWER, *GONE.what), within=6)
DEAD_START = Seen(what=("HarnessError: the harness localharness did not start",))
CHANCE_START = Seen(what=(ANSWER, *NO_START.what, *DEAD_START.what), within=8)

NO_ANSWER = "BackendError: the harness got no answer"
QUOTA = "QuotaExceededError: the model's quota is exceeded"

ONE_CHUNK = 1 << 16
HUNDRED_MB = 100 << 20


class Group(NamedTuple):
    """Faults of one kind.

    Attributes:
        title: Above their table.
        faults: In its order.
    """

    title: str
    faults: tuple[Fault, ...]


def in_turn(seen: Seen) -> dict[Phase, Seen]:
    return dict.fromkeys(IN_TURN, seen)


def model(
    name: str,
    answer: ModelTurn,
    what: str,
    *,
    within: float = 5,
    stall: float = 2,
    phases: Iterable[Phase] = CALLS,
    telling: Iterable[Phase] = (),
) -> Fault:
    """A model at fault; at a shutdown nobody waits for it any more."""
    seen = Seen(what=(what,), within=within)
    return Fault(
        name=name,
        answer=answer,
        stall=stall,
        seen={phase: OVER if phase is SHUTDOWN else seen for phase in phases},
        telling=frozenset(telling),
    )


NEVER_ENDING = (*CALLS, SHUTDOWN)

GROUPS = (
    Group(
        "The harness",
        (
            Fault(
                name="killed (SIGKILL)",
                act=acts.kill,
                seen={
                    START: DEAD_START,
                    IDLE: FINE,
                    **in_turn(GONE),
                    SHUTDOWN: OVER,
                },
                telling=frozenset(Phase) - {STREAMING},
            ),
            Fault(
                name="stopped (SIGSTOP)",
                act=acts.stop,
                seen={
                    START: LATE_START,
                    IDLE: SILENT,
                    **in_turn(SILENT),
                    SHUTDOWN: Seen(what=(ENDED,), within=10),
                },
                telling=frozenset({APPROVAL, SHUTDOWN}),
            ),
            Fault(
                name="slowed to a tenth",
                act=acts.slow,
                seen={START: FINE, IDLE: FINE, **in_turn(FINE), SHUTDOWN: OVER},
                telling=frozenset({START}),
            ),
        ),
    ),
    Group(
        "The socket",
        (
            Fault(
                name="cut",
                act=acts.cut,
                seen={START: FINE, IDLE: FINE, **in_turn(GONE), SHUTDOWN: OVER},
                telling=frozenset({TOOL}),
            ),
            Fault(
                name="delayed by a second",
                act=acts.delay,
                seen={START: FINE, IDLE: FINE, **in_turn(FINE), SHUTDOWN: OVER},
                telling=frozenset({SHUTDOWN}),
            ),
            Fault(
                name="silent permanently",
                act=acts.silence,
                seen={START: LATE_START, IDLE: SILENT, **in_turn(SILENT), SHUTDOWN: OVER},
                telling=frozenset({STREAMING}),
            ),
            Fault(
                name="bytes corrupted",
                act=acts.corrupt_bytes,
                seen={START: NO_START, IDLE: FINE, **in_turn(GONE), SHUTDOWN: OVER},
                telling=frozenset({START}),
            ),
            Fault(
                name="frames of invalid JSON",
                act=acts.corrupt_json,
                seen={START: NO_START, IDLE: FINE, **in_turn(GONE), SHUTDOWN: OVER},
                telling=frozenset({IDLE}),
            ),
            Fault(
                name="frames without a meaning",
                act=acts.corrupt_meaning,
                seen={START: NO_START, IDLE: FINE, **in_turn(GONE), SHUTDOWN: OVER},
                telling=frozenset({APPROVAL}),
            ),
            Fault(
                name=f"flooded with {acts.FLOOD_FRAMES:,} frames",
                act=acts.flood,
                seen={IDLE: FINE, **in_turn(FINE), SHUTDOWN: OVER},
                telling=frozenset({SHUTDOWN}),
            ),
        ),
    ),
    Group(
        "The model",
        (
            model(
                "answers 400",
                fail(400),
                "BackendError: the model rejected the request (HTTP 400)",
            ),
            model(
                "answers 401",
                fail(401),
                "BackendError: the model did not accept the API key (HTTP 401)",
                telling=[TOOL],
            ),
            model(
                "answers 403",
                fail(403),
                "BackendError: this API key may not use the model (HTTP 403)",
            ),
            model("answers 429", fail(429), QUOTA),
            model("answers 429, retry-after in its headers", fail(429, retry_after=1), QUOTA),
            model(
                "answers 429, retry delay in its body",
                fail(429, retry_delay=1),
                QUOTA,
                telling=[TOOL],
            ),
            model("answers 500", fail(500), "BackendError: the turn failed (HTTP 500)"),
            model("answers 503", fail(503), "BackendError: the turn failed (HTTP 503)"),
            model("never answers", hang(), *SILENT.what, within=6, phases=NEVER_ENDING),
            model(
                "hangs in the middle",
                hang("partial"),
                *SILENT.what,
                within=6,
                phases=NEVER_ENDING,
                telling=[TOOL],
            ),
            model(
                "drips one byte per second",
                say("never", byte_delay_s=1.0),
                *SILENT.what,
                within=6,
                phases=NEVER_ENDING,
                telling=[SHUTDOWN],
            ),
            model(
                "breaks off in the middle of a chunk",
                drop("partial", data=HALF_A_CHUNK),
                NO_ANSWER,
                telling=[STREAMING],
            ),
            model("sends invalid JSON", garbage(after="partial"), NO_ANSWER),
            model("sends bytes of all kinds", garbage(bytes(range(256)) * 100), NO_ANSWER),
            model(
                "sends 100 MB of text",
                say(["x" * ONE_CHUNK] * (HUNDRED_MB // ONE_CHUNK)),
                "BackendError: the turn was ended, because the model's answer is longer than "
                "1,000,000 characters",
                within=15,
                stall=10,  # the SDK parses a frame in one go
                phases=NEVER_ENDING,
                telling=[STREAMING],
            ),
            model(
                "sends 100 MB without a line break",
                garbage(b"data: " + b"x" * HUNDRED_MB),
                *SILENT.what,
                within=8,
            ),
        ),
    ),
    Group(
        "The machine",
        (
            Fault(
                name="disk full",
                act=acts.fill_disk,
                seen={START: NO_START, IDLE: FINE, **in_turn(FINE), SHUTDOWN: OVER},
                telling=frozenset({START, TOOL}),
            ),
            Fault(
                name="folder cannot be written to",
                act=acts.block_folder,
                early=True,
                seen={
                    START: Seen(what=("InvalidConfigError: cannot write to save_dir 'save'",)),
                    IDLE: FINE,
                    **in_turn(FINE),
                    SHUTDOWN: OVER,
                },
                telling=frozenset({START}),
            ),
            Fault(
                name="no more file handles for the harness",
                act=acts.take_handles,
                seen={START: LATE_START, IDLE: FINE, **in_turn(FINE), SHUTDOWN: OVER},
            ),
            Fault(
                name="no more file handles for the kernel",
                act=acts.take_own_handles,
                early=True,
                seen={START: Seen(what=("HarnessError: the agent did not start",), within=5)},
                telling=frozenset({START}),
            ),
            Fault(
                name="no more memory for the harness",
                act=acts.take_memory,
                seen={START: CHANCE_START, IDLE: CHANCE, **in_turn(CHANCE), SHUTDOWN: OVER},
                telling=frozenset({START}),
            ),
        ),
    ),
    Group(
        "The user's code",
        (
            Fault(
                name="a tool that blocks its thread for a minute",
                blocks=True,
                seen={TOOL: SILENT, SHUTDOWN: OVER},
                telling=frozenset({SHUTDOWN}),
            ),
        ),
    ),
)

FAULTS = tuple(fault for group in GROUPS for fault in group.faults)
