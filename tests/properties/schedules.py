"""Every interleaving of a scenario: an event loop for tests that chooses when each event lands.

Theory of operation. A scenario is a coroutine function of one `World`. Whatever comes from outside
(a frame, a user's call, a hook's answer, a thread's result) waits at a named event, `await
world.at("the user cancels")`; time stands still until a timer is all that is left. Where the loop
of a real machine would look for I/O, this one asks an oracle what lands now: one of the events, the
next timer, or nothing while there is work. All else is asyncio as documented: callbacks run first
in, first out.

The answers of the oracle are a list of numbers, and the list is the schedule. `Odometer` tries all
of them, one after the other; `Drawn` takes them from hypothesis; `Dice` from a seed; `Replayed`
from a failure's message.

Rule 1: a schedule is a function of its choices; nothing depends on real time, threads or hashes.
Rule 2: a failure says what happened, in order and in words, and how to see it again.
Rule 3: `early` bounds how many events land while there is other work; at rest all orders are tried.

`shuffles` is the robustness mode: that many times the callback that runs next is not the first in
the queue. asyncio promises that order, other loops do not.
"""

import asyncio
import collections
import contextvars
import itertools
import random
import selectors
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Scenario = Callable[["World"], Awaitable[None]]

START_S = 1_000.0
MOST_ITERATIONS = 20_000
"""Turns of the loop; a schedule that takes more goes round in circles."""


class Deadlock(AssertionError):
    """Everybody waits, and nothing is left that could land."""


class Endless(AssertionError):
    """The loop goes round and round."""


class Broken(AssertionError):
    """A schedule under which the scenario does not hold.

    `choices` reproduces it with `again`, `trace` is what happened.
    """

    def __init__(
        self, name: str, how: str, choices: Sequence[int], trace: Sequence[str], error: str
    ) -> None:
        story = "\n".join(f"  {number}. {line}" for number, line in enumerate(trace, start=1))
        super().__init__(
            f"{name.replace('_', ' ')}: this does not hold when\n{story}\n"
            f"See it again: again({name}, {_in_short(choices)}, {how})\n{error}"
        )
        self.choices, self.trace = tuple(choices), tuple(trace)


def _in_short(choices: Sequence[int]) -> str:
    """As Python; what comes after the end of the list is 0 anyway."""
    runs = [(key, len(list(group))) for key, group in itertools.groupby(choices)]
    if runs and runs[-1][0] == 0:
        runs.pop()
    return " + ".join(f"[{key}] * {n}" if n > 4 else str([key] * n) for key, n in runs) or "[]"


class Oracle(Protocol):
    def choose(self, options: int) -> int: ...


@dataclass
class Odometer:
    """Depth first through all lists of choices; `advance` moves on, and tells if any is left."""

    prefix: list[int] = field(default_factory=list)
    taken: list[tuple[int, int]] = field(default_factory=list)

    def choose(self, options: int) -> int:
        position = len(self.taken)
        choice = self.prefix[position] if position < len(self.prefix) else 0
        assert choice < options, "the scenario is not a function of its choices"
        self.taken.append((choice, options))
        return choice

    def advance(self) -> bool:
        while self.taken:
            choice, options = self.taken.pop()
            if choice + 1 < options:
                self.prefix = [each for each, _ in self.taken] + [choice + 1]
                self.taken = []
                return True
        return False


class Drawn:
    """Choices that hypothesis draws, and shrinks towards 0."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self.choose = draw


class Dice:
    """Choices by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, options: int) -> int:
        return self._random.randrange(options)


class Replayed:
    """Choices from a list; 0 after its end."""

    def __init__(self, choices: Sequence[int]) -> None:
        self._left = list(choices)

    def choose(self, options: int) -> int:
        return min(self._left.pop(0), options - 1) if self._left else 0


class _Selector(selectors.DefaultSelector):
    loop: "ScheduledLoop"

    def select(self, timeout=None):
        found = super().select(0)
        self.loop.look_around()
        return found


class _Queue(collections.deque):
    """The ready queue of a loop that keeps no order; the oracle may pick any callback."""

    loop: "ScheduledLoop"

    def popleft(self):
        index = self.loop.pick(len(self))
        self.rotate(-index)
        handle = super().popleft()
        self.rotate(index)
        return handle


class ScheduledLoop(asyncio.SelectorEventLoop):
    """See the module. `now` is its clock, in seconds."""

    def __init__(self, oracle: Oracle, early: int, shuffles: int) -> None:
        self.now = START_S
        self.oracle = oracle
        self.early, self.shuffles = early, shuffles
        self.choosing = False
        self.horizon = START_S
        self.iterations = 0
        self.events: dict[str, Callable[[], None]] = {}
        self.trace: list[str] = []
        self.choices: list[int] = []
        self.errors: list[str] = []
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        if shuffles:
            self._ready = _Queue(self._ready)
            self._ready.loop = self
        self.set_exception_handler(self._on_error)

    def time(self) -> float:
        return self.now

    def _on_error(self, _loop, context) -> None:
        error = context.get("exception")
        self.errors.append(f"{context['message']}: {error!r}")

    def run_in_executor(self, executor, func, *args):
        """A thread of this loop does its work and is done when the oracle says so."""
        future = self.create_future()
        name = f"the thread is done with {_name_of(func)}"

        def land() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except BaseException as error:
                future.set_exception(error)

        self.expect(name, land)
        return future

    def expect(self, name: str, land: Callable[[], None]) -> str:
        """Have something land later; gives the name that it is known by."""
        unique, number = name, 2
        while unique in self.events:
            unique, number = f"{name} ({number})", number + 1
        self.events[unique] = land
        return unique

    def look_around(self) -> None:
        """What asyncio does in `select`: see what has come, until there is work and no more."""
        self.iterations += 1
        if self.iterations > MOST_ITERATIONS:
            self._fail(Endless(f"{MOST_ITERATIONS} turns of the loop and no end"))
        while not self._stopping:
            timer = self._next_timer()
            due = timer is not None and timer._when <= self.now
            at_work = bool(self._ready) or due
            may_land = not at_work or (self.choosing and self.early > 0)
            landing = list(self.events) if may_land and (self.choosing or not at_work) else []
            passing = may_land and timer is not None and not due
            passing = passing and (timer._when <= self.horizon or not (landing or at_work))
            options = len(landing) + at_work + passing
            if not options:
                self._fail(
                    Deadlock(f"everybody waits for something that nobody will do:\n{_who(self)}")
                )
            choice = self._choose(options) if options > 1 and self.choosing else 0
            if at_work and choice == 0:
                return
            self.early -= at_work
            choice -= at_work
            if choice < len(landing):
                name = landing[choice]
                self.trace.append(name)
                self.events.pop(name)()
            else:
                self.trace.append(f"{timer._when - self.now:.3g} s pass")
                self.now = timer._when

    def _fail(self, error: AssertionError) -> None:
        self.choosing, self.early = False, 0
        self.iterations = -(10**9)
        raise error

    def _next_timer(self) -> asyncio.TimerHandle | None:
        alive = [handle for handle in self._scheduled if not handle._cancelled]
        return min(alive, default=None)

    def pick(self, ready: int) -> int:
        """Which callback of the queue runs next."""
        if not self.choosing or self.shuffles <= 0 or ready < 2:
            return 0
        index = self._choose(ready)
        if index:
            self.shuffles -= 1
            self.trace.append(f"the callback at place {index} runs before {index} older ones")
        return index

    def _choose(self, options: int) -> int:
        choice = self.oracle.choose(options)
        self.choices.append(choice)
        return choice


class World:
    """What a scenario acts upon."""

    def __init__(self, loop: ScheduledLoop) -> None:
        self.loop = loop
        self.tasks: list[asyncio.Task] = []

    @property
    def now(self) -> float:
        """The clock, in seconds from the scenario's start."""
        return self.loop.now - START_S

    @property
    def keeps_order(self) -> bool:
        """Whether callbacks run first in, first out, as asyncio promises."""
        return not isinstance(self.loop._ready, _Queue)

    async def at(self, event: str) -> None:
        """Wait until the event lands."""
        future = self.loop.create_future()
        name = self.loop.expect(event, lambda: future.done() or future.set_result(None))
        try:
            await future
        finally:
            self.loop.events.pop(name, None) if not future.done() or future.cancelled() else None

    def begin(self, seconds: float = 0) -> None:
        """From here on the order is the oracle's; what came before was preparation.

        Timers of the next `seconds` race with the events; later ones go off only where no event
        is left to wait for.
        """
        self.loop.choosing = True
        self.loop.horizon = self.loop.now + seconds

    def settle(self) -> None:
        """From here on nothing is chosen any more; what comes is tidying up."""
        self.loop.choosing = False

    def note(self, text: str) -> None:
        """Say something in the trace."""
        self.loop.trace.append(text)

    def does(self, event: str, action: Callable[[], Awaitable]) -> asyncio.Task:
        """Somebody who does something once the event lands."""

        async def act():
            await self.at(event)
            return await action()

        task = self.loop.create_task(act(), name=event)
        self.tasks.append(task)
        return task

    def goes(self, event: str, task: asyncio.Task) -> asyncio.Task:
        """Somebody who goes away in the middle of what they do."""

        async def cancel():
            task.cancel()

        return self.does(event, cancel)

    async def until(self, condition: Callable[[], object]) -> None:
        """Look again and again until something holds; events may land meanwhile."""
        while not condition():  # noqa: ASYNC110 - whoever changes it knows nothing of us
            await asyncio.sleep(0.001)

    async def all_done(self) -> list:
        """Wait for everybody; gives what each has, or what it failed with."""
        done = await asyncio.gather(*self.tasks, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, AssertionError):
                raise outcome
        return done


@dataclass
class Run:
    """One schedule, run to its end."""

    choices: list[int]
    trace: list[str]
    seconds: float


def run(scenario: Scenario, oracle: Oracle, *, early: int = 0, shuffles: int = 0) -> Run:
    """Run one schedule; `Broken` if the scenario does not hold."""
    loop = ScheduledLoop(oracle, early, shuffles)
    world = World(loop)
    try:
        asyncio.set_event_loop(loop)
        try:
            main = loop.create_task(scenario(world), context=contextvars.copy_context())
            loop.run_until_complete(main)
            loop.choosing = False
            loop.run_until_complete(_nothing_is_left(loop))
        finally:
            asyncio.set_event_loop(None)
            loop.choosing = False
            _put_out(loop)
        assert not loop.errors, loop.errors
    except Exception as error:
        text = "".join(traceback.format_exception(error, limit=-4))
        how = f"early={early}, shuffles={shuffles}"
        raise Broken(scenario.__name__, how, loop.choices, loop.trace, text) from error
    finally:
        loop.close()
    return Run(loop.choices, loop.trace, loop.now - START_S)


def again(scenario: Scenario, choices: Sequence[int], *, early: int = 0, shuffles: int = 0) -> Run:
    """Run the schedule that a failure named."""
    return run(scenario, Replayed(choices), early=early, shuffles=shuffles)


@dataclass(frozen=True)
class Explored:
    """How much of a scenario was explored; `whole` if nothing is left within the bound."""

    schedules: int
    whole: bool


def explore(
    scenario: Scenario, *, early: int = 0, shuffles: int = 0, at_most: int = 1_000_000
) -> Explored:
    """Run every schedule of a scenario; `Broken` at the first that does not hold."""
    odometer = Odometer()
    for count in range(1, at_most + 1):
        run(scenario, odometer, early=early, shuffles=shuffles)
        if not odometer.advance():
            return Explored(count, whole=True)
    return Explored(at_most, whole=False)


async def _nothing_is_left(loop: ScheduledLoop) -> None:
    """A scenario leaves no task."""
    for _ in range(3):
        await asyncio.sleep(0)
    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    assert not left, f"left at the end: {sorted(task.get_name() for task in left)}"


def _put_out(loop: ScheduledLoop) -> None:
    """End what a failed scenario left."""
    loop.early = 0
    for _ in range(5):
        left = asyncio.all_tasks(loop)
        if not left:
            break
        for task in left:
            task.cancel()
        try:
            loop.run_until_complete(asyncio.wait(left, timeout=1))
        except (AssertionError, RuntimeError):
            break
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
    loop.run_until_complete(loop.shutdown_asyncgens())


def _who(loop: ScheduledLoop) -> str:
    def where(task: asyncio.Task) -> Iterator[str]:
        for frame in task.get_stack(limit=3):
            yield f"{frame.f_code.co_name}:{frame.f_lineno}"

    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    return "\n".join(f"- {task.get_name()} at {' < '.join(where(task))}" for task in tasks)


def _name_of(func: Callable) -> str:
    inner = getattr(func, "args", (func,))
    found = inner[0] if inner else func
    return getattr(found, "__name__", type(found).__name__)
