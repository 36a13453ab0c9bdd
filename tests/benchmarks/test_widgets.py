"""What a view costs: the turn that it shows, the event loop, the bytes to the front end."""

import asyncio
import gc
import json
import time

import pytest

import agy_nb as agy
from agy_nb.protocol.events import Text
from agy_nb.testing import ScriptedModel, say
from agy_nb.widgets.markdown.markdown_stream import MarkdownStream
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.live_view import LiveView
from agy_nb.widgets.usage.usage_view import UsageView
from tests.support.memory import MemoryBackend

CHUNKS = 5_000
ROUNDS = 5
PARAGRAPH = (
    "## Part {n}\n\nSome *words* of prose with `code` and a [link](https://example.org/{n}), which "
    "go on for a line or two, as those of models do.\n\n- one\n- two **and** a half\n\n"
    "```python\ndef f{n}(x):\n    return x + {n}  # one more\n```\n\n"
    "| a | b |\n|---|---|\n| {n} | 2 |\n\n"
)
ANSWER = "".join(PARAGRAPH.format(n=number) for number in range(400))[:100_000]


def pieces(text: str, count: int) -> list[str]:
    size = -(-len(text) // count)
    return [text[at : at + size] for at in range(0, len(text), size)]


class View:
    """A view with a front end that only counts."""

    def __init__(self) -> None:
        self.transcript = ConversationView()
        self.transcript.begin_turn()
        self.live = LiveView(self.transcript)
        self.messages: list[dict] = []
        self.live.widget.send = self.messages.append
        self.live._on_content({"type": "ready"}, [])

    def close(self) -> None:
        self.live.flush()
        self.live.close()

    @property
    def characters(self) -> int:
        """How many characters of JSON went out."""
        return sum(len(json.dumps(each, ensure_ascii=False)) for each in self.messages)


class Bench:
    """An agent whose model answers at full speed."""

    async def open(self) -> None:
        self.model = ScriptedModel(lambda _request: say(pieces(ANSWER, CHUNKS)))
        await self.model.start()
        self.runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0))
        self.agent = await self.runtime.create_agent(self.model.config())

    async def close(self) -> None:
        await self.runtime.close()
        await self.model.stop()

    async def without(self) -> None:
        await (await self.agent.chat("go")).text()

    async def through(self) -> View:
        view = View()
        response = await self.agent.chat("go")
        stop = response.watch(view.live.on_event)
        await response.text()
        stop()
        view.close()
        return view

    async def counted(self) -> None:
        usage = opened(self.agent)
        await (await self.agent.chat("go")).text()
        usage.close()


def opened(agent) -> UsageView:
    """A view of an agent's usage, with a front end that takes what it is sent."""
    usage = agent.usage_ui()
    usage.view.live.widget.send = lambda _message: None
    usage.view.live._on_content({"type": "ready"}, [])
    return usage


@pytest.fixture
def bench(loop):
    bench = Bench()
    loop.run(bench.open())
    yield bench
    loop.run(bench.close())


@pytest.mark.real
@pytest.mark.benchmark(group="a view of 5,000 chunks")
def test_turn_keeps_its_pace_with_a_view_open(loop, bench, side_by_side, record):
    result = side_by_side(
        lambda: loop.run(bench.through()), lambda: loop.run(bench.without()), ROUNDS
    )
    pace = CHUNKS / min(result.ours)
    record("chunks per second with a view", f"{pace:,.0f}", "as many as the model sends")
    record("throughput with a view", f"{1 / result.ratio:.2f} of that without", ">= 0.9")
    assert 1 / result.ratio > 0.5


@pytest.mark.real
@pytest.mark.benchmark(group="a view of usage")
def test_turn_keeps_its_pace_with_the_usage_open(loop, bench, side_by_side, record):
    result = side_by_side(lambda: loop.run(bench.counted()), lambda: loop.run(bench.without()), 3)
    record("throughput with the usage open", f"{1 / result.ratio:.2f} of that without", ">= 0.9")
    assert 1 / result.ratio > 0.5


@pytest.mark.benchmark(group="a view of usage")
def test_usage_of_five_thousand_chunks_a_second_leaves_the_loop_free(loop, benchmark, record):
    stalls = []

    async def play(turn) -> None:
        began = last = time.perf_counter()
        longest = 0.0
        for number in range(1, 2 * CHUNKS + 1):
            turn.say("some words ")
            if number % 50 == 0:
                turn.meter()
            while True:
                await asyncio.sleep(0)
                moment = time.perf_counter()
                longest, last = max(longest, moment - last), moment
                if moment >= began + number / CHUNKS:
                    break
        stalls.append(longest)

    async def measure(*, shown: bool) -> None:
        config = agy.RuntimeConfig(chat_pause=0)
        async with agy.Runtime(config, backend=MemoryBackend(play)) as runtime:
            agent = await runtime.create_agent()
            usage = opened(agent)
            await usage.settled()  # the first time is that of imports
            if not shown:
                usage.close()
            gc.collect()
            await agent.chat_text("go")
            usage.close()

    for _ in range(3):
        loop.run(measure(shown=True))
        loop.run(measure(shown=False))
    ours, without = (min(stalls[start::2]) * 1e3 for start in (0, 1))
    benchmark.pedantic(lambda: None, rounds=1)
    words = f"{ours:.1f} ms, {without:.1f} ms without"
    record("longest stall with the usage open", words, "< 50 ms")
    assert ours < 200


@pytest.mark.benchmark(group="a view of 5,000 chunks")
def test_view_of_five_thousand_chunks_a_second_leaves_the_loop_free(loop, benchmark, record):
    async def measure() -> tuple[float, View]:
        view = View()
        gc.collect()
        began = last = time.perf_counter()
        longest = 0.0
        for number, piece in enumerate(pieces(ANSWER, CHUNKS), 1):
            view.live.on_event(Text(text=piece))
            while True:
                await asyncio.sleep(0)
                moment = time.perf_counter()
                longest, last = max(longest, moment - last), moment
                if moment >= began + number / CHUNKS:
                    break
        view.close()
        return longest, view

    results = [loop.run(measure()) for _ in range(3)]
    longest = min(stall for stall, _ in results)
    view = results[0][1]
    benchmark.pedantic(lambda: None, rounds=1)
    final = len(view.transcript.html())
    record("longest stall with a view", f"{longest * 1e3:.1f} ms", "< 50 ms")
    record("messages in one second", f"{len(view.messages)}", "<= 20, the first and the last")
    record(
        "characters to the front end",
        f"{view.characters:,} for {len(ANSWER):,} of text, {final:,} of HTML",
        "2 x the text + the HTML",
    )
    assert longest < 0.2
    assert len(view.messages) <= 22 + 1
    assert view.characters < 2 * len(ANSWER) + 1.5 * final


@pytest.mark.benchmark(group="a view of 10 MB in one event")
@pytest.mark.parametrize("kind", ["answer", "one line", "code"])
def test_ten_megabytes_in_one_event_leave_the_loop_free(loop, benchmark, record, kind):
    size = 10_000_000
    text = {
        "answer": ANSWER * (size // len(ANSWER)),
        "one line": "long " * (size // 5),
        "code": "```python\n" + "x = 1  # one more\n" * (size // 18),
    }[kind]

    async def measure() -> tuple[float, View]:
        view = View()
        gc.collect()
        last = time.thread_time()
        longest = 0.0  # of this thread's own time: what others do on the machine is no stall
        view.live.on_event(Text(text=text))
        while view.transcript.has_backlog:
            await asyncio.sleep(0)
            moment = time.thread_time()
            longest, last = max(longest, moment - last), moment
        view.close()
        return longest, view

    results = [loop.run(measure()) for _ in range(2)]
    longest = min(stall for stall, _ in results)
    benchmark.pedantic(lambda: None, rounds=1)
    drawn = len(results[0][1].transcript.text())
    record(f"longest stall, 10 MB at once: {kind}", f"{longest * 1e3:.1f} ms", "< 50 ms")
    assert longest < 0.2
    assert drawn > 1_000_000


@pytest.mark.benchmark(group="100 kB of Markdown")
def test_answer_in_pieces_costs_little_more_than_at_once(side_by_side, record):
    def streamed() -> MarkdownStream:
        blocks = MarkdownStream()
        for piece in pieces(ANSWER, 2_000):
            blocks.append(piece)
            blocks.changes()
        blocks.finish()
        return blocks

    def at_once() -> MarkdownStream:
        blocks = MarkdownStream()
        blocks.append(ANSWER)
        blocks.finish()
        return blocks

    assert streamed().html() == at_once().html()
    result = side_by_side(streamed, at_once, ROUNDS)
    record("100 kB in 2,000 pieces", f"{result.ratio:.2f} x once", "<= 3")
    record("100 kB at once", f"{min(result.theirs) * 1e3:.0f} ms", "-")
    assert result.ratio < 3
