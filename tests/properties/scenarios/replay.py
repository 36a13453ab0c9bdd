"""Small scenarios of the replay: a client in any permitted order sees what was recorded."""

import asyncio
import itertools
import json

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay.replay_socket import CassetteSocket
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import Cassette, by_session
from agy_nb.cassette.storage.format import Header
from tests.cassette.conftest import (
    Frames as f,  # noqa: N813
    to_lines,
)
from tests.properties.stage import scenario


def matcher_of(*sessions, end={"by": "client"}):  # noqa: B006 - not changed
    from pathlib import Path

    lines = [
        line
        for number, frames in enumerate(sessions)
        for line in to_lines(frames, session=number, end=end)
    ]
    recording = Cassette(Path("c"), Header(complete=True), by_session(lines))
    return SessionMatcher(
        recording, PlaySettings(places={}, redactor=Redactor(environ={}, places={}))
    )


class Client:
    """What an SDK is to a socket: a reader, and tasks that answer what it reads."""

    def __init__(self, world, matcher, answers=None, **settings):
        self.world = world
        self.socket = CassetteSocket(matcher, **settings)
        self.got = []
        self.error = None
        self.answers = answers or {}
        self.tasks = []
        self.reading = None

    async def start(self, config):
        await self.socket.send(json.dumps(config))
        self.reading = asyncio.ensure_future(self.read())
        await self.received(1)  # no client says anything before the harness is ready

    async def send(self, frame):
        try:
            await self.socket.send(json.dumps(frame))
        except CassetteMismatchError as error:
            return error
        return None

    async def read(self):
        try:
            async for message in self.socket:
                frame = json.loads(message)
                self.got.append(frame)
                name = json.dumps(frame.get("toolCall", {}).get("id"))
                if name in self.answers:
                    answer = self.answers[name]
                    self.tasks.append(
                        self.world.does(
                            f"the tool of {name} is done", lambda a=answer: self.send(a)
                        )
                    )
        except CassetteMismatchError as error:
            self.error = error
        except ConnectionError as error:
            if not self.socket._closed:  # who closes it knows that it is closed
                self.error = error

    async def received(self, count):
        await self.world.until(lambda: len(self.got) >= count or self.error)

    async def close(self):
        try:
            await self.socket.close()
        except CassetteMismatchError as error:
            self.error = self.error or error
        if self.reading is not None:
            await self.reading


CALLS = [f.call(f"c{n}", n=n) for n in range(3)]
RESULTS = [f.result(f"c{n}", n) for n in range(3)]
TOOLS = {json.dumps(f"c{n}"): RESULTS[n] for n in range(3)}


@scenario
async def answers_commute(world):
    session = [
        f.config(), f.ready(), f.prompt("go"), *CALLS,
        RESULTS[1], f.step("one"), RESULTS[0], f.step("two"), RESULTS[2], f.step("three"), f.idle(),
    ]  # fmt: skip
    matcher = matcher_of(session)
    client = Client(world, matcher, TOOLS)
    await client.start(session[0])
    world.begin()
    await client.send(session[2])
    harness = [each for each in session if not any(k in each for k in CLIENT)]
    await world.until(lambda: len(client.got) == len(harness) or client.error)
    world.settle()
    await client.close()
    assert client.error is None
    assert client.got == harness
    assert matcher.errors(allow_unplayed=False) == []


CLIENT = ("config", "userInput", "toolResponse", "haltRequest", "callHookResponse")


@scenario
async def hooks_and_tools_answer_side_by_side(world):
    session = [
        f.config(), f.ready(), f.prompt("go"), f.hook("h"), f.call("c0"), f.hook_answer("h"),
        f.step("hooked"), f.result("c0", 0), f.step("done"), f.idle(),
    ]  # fmt: skip
    matcher = matcher_of(session)
    client = Client(world, matcher)
    await client.start(session[0])
    await client.send(session[2])
    await client.received(3)
    world.begin()
    world.does("the hook answers", lambda: client.send(f.hook_answer("h")))
    world.does("the tool answers", lambda: client.send(f.result("c0", 0)))
    assert await world.all_done() == [None, None]
    await world.until(lambda: len(client.got) == 6 or client.error)
    world.settle()
    await client.close()
    assert [x for x in client.got if "stepUpdate" in x] == [f.step("hooked"), f.step("done")]
    assert matcher.errors(allow_unplayed=False) == []


@scenario
async def what_was_recorded_before_a_halt_comes_before_it(world):
    session = [
        f.config(), f.ready(), f.prompt("go"), f.step("a"), f.step("b"), f.halt(), f.step("c"),
        f.idle(),
    ]  # fmt: skip
    matcher = matcher_of(session)
    client = Client(world, matcher)
    await client.start(session[0])
    world.begin()
    world.does("the prompt", lambda: client.send(f.prompt("go")))
    await world.all_done()
    seen_at_halt = []

    async def halt():
        seen_at_halt.extend(client.got)
        return await client.send(f.halt())

    world.does("the halt", halt)
    await world.all_done()
    await world.until(lambda: len(client.got) == 5 or client.error)
    world.settle()
    await client.close()
    assert f.step("c") not in seen_at_halt
    steps = [frame for frame in client.got if "stepUpdate" in frame]
    assert steps == [f.step("a"), f.step("b"), f.step("c")]
    assert matcher.errors(allow_unplayed=False) == []


@scenario
async def a_wrong_answer_is_an_error_and_never_a_hang(world):
    session = [
        f.config(), f.ready(), f.prompt("go"), f.call("c0"), f.call("c1"), f.result("c0", 0),
        f.result("c1", 1), f.step("done"), f.idle(),
    ]  # fmt: skip
    matcher = matcher_of(session)
    client = Client(world, matcher)
    await client.start(session[0])
    await client.send(session[2])
    await client.received(3)
    world.begin()
    world.does("a wrong answer", lambda: client.send(f.result("c0", "wrong")))
    world.does("a right answer", lambda: client.send(f.result("c1", 1)))
    await world.all_done()
    await client.reading
    assert isinstance(client.error, CassetteMismatchError)
    assert client.error.phase == "answer"
    assert f.step("done") not in client.got
    assert matcher.errors(allow_unplayed=False) == [client.error]
    assert isinstance(await client.send(f.prompt("more")), CassetteMismatchError)
    await client.close()


@scenario
async def a_reader_is_woken_by_the_close(world):
    session = [f.config(), f.ready(), f.prompt("go"), f.step("a"), f.idle()]
    client = Client(world, matcher_of(session))
    await client.start(session[0])
    world.begin()
    world.does("the prompt", lambda: client.send(f.prompt("go")))
    world.does("the client closes", client.close)

    async def all_of_it():
        try:
            await world.all_done()
        except ConnectionError as error:
            return error

    await all_of_it()
    await client.reading
    assert client.got == [f.ready(), f.step("a"), f.idle()][: len(client.got)]


@scenario
async def who_does_not_go_on_is_told_so_and_who_does_is_not(world):
    session = [f.config(), f.ready(), f.prompt("go"), f.step("a"), f.halt(), f.step("b"), f.idle()]
    client = Client(world, matcher_of(session), stall_after=5)
    await client.start(session[0])
    await client.send(session[2])
    await client.received(2)
    world.begin(seconds=8)
    began, sent = world.now, []

    async def halt():
        await asyncio.sleep(1)
        sent.append(world.now - began)
        return await client.send(f.halt())

    world.does("the halt", halt)
    (refused,) = await world.all_done()
    if refused is None:
        await world.until(lambda: len(client.got) == 4 or client.error)
    await client.close()
    stalled = isinstance(client.error, CassetteMismatchError)
    assert stalled or sent[0] < 5.1, "told within its limit"
    assert not stalled or sent[0] > 4.9, "and not before"
    assert stalled is (f.idle() not in client.got)
    if stalled:
        assert client.error.phase == "stalled"


@scenario
async def agents_alike_may_ask_in_any_order(world):
    config = f.config()
    sessions = [
        [config, f.ready(f"t{n}"), f.prompt(f"p{n}"), f.step(f"a{n}"), f.idle()] for n in range(3)
    ]
    matcher = matcher_of(*sessions)
    clients = [Client(world, matcher) for _ in range(3)]
    world.begin()

    async def chat(number):
        client = clients[number]
        await client.start(config)
        assert await client.send(f.prompt(f"p{number}")) is None
        await world.until(lambda: len(client.got) == 3 or client.error)

    for number in range(3):
        world.does(f"agent {number} starts", lambda n=number: chat(n))
    await world.all_done()
    world.settle()
    for number, client in enumerate(clients):
        await client.close()
        assert f.step(f"a{number}") in client.got
    assert matcher.errors(allow_unplayed=False) == []


@scenario
async def a_harness_that_died_dies_again_after_what_it_had_said(world):
    session = [f.config(), f.ready(), f.prompt("go"), f.call("c0"), f.result("c0", 0), f.step("a")]
    matcher = matcher_of(session, end={"by": "harness", "code": 1006, "reason": "gone"})
    client = Client(world, matcher, TOOLS)
    await client.start(session[0])
    world.begin()
    await client.send(session[2])
    await client.reading
    await world.all_done()
    assert isinstance(client.error, ConnectionError)
    assert client.got == [f.ready(), f.call("c0"), f.step("a")]


@scenario
async def a_turn_after_a_turn_waits_for_its_prompt(world):
    turns = [[f.prompt(str(n)), f.step(f"a{n}"), f.idle()] for n in range(2)]
    session = [f.config(), f.ready(), *itertools.chain(*turns)]
    matcher = matcher_of(session)
    client = Client(world, matcher)
    await client.start(session[0])
    world.begin()

    async def second():
        await world.until(lambda: f.idle() in client.got)
        before = list(client.got)
        assert f.step("a1") not in before
        return await client.send(f.prompt("1"))

    world.does("the first prompt", lambda: client.send(f.prompt("0")))
    world.does("somebody waits for the end of it", second)
    assert await world.all_done() == [None, None]
    await world.until(lambda: len(client.got) == 5)
    world.settle()
    await client.close()
    assert client.got == [f.ready(), f.step("a0"), f.idle(), f.step("a1"), f.idle()]
