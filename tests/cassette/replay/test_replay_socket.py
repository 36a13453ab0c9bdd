"""The socket of a replay: where a mismatch is raised, and when other tasks run."""

import asyncio
import json

import pytest

from agy_nb.cassette.errors import CassetteMismatchError
from agy_nb.cassette.replay.replay_socket import CassetteSocket
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import load

pytestmark = pytest.mark.blocking_allowed  # the cassette is written and read on the loop


@pytest.fixture
def socket_of(cassette):
    """Return the socket of a recorded session, without waiting."""

    def make(*frames):
        return CassetteSocket(SessionMatcher(load(cassette(frames)), PlaySettings()))

    return make


async def say(socket, frame):
    await socket.send(json.dumps(frame))


async def received(socket, count):
    """Receive frames; gives for each whether another task ran before it."""
    found = []
    for _ in range(count):
        turn = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await socket.recv()
        found.append(turn.done())
        await turn
    return found


async def test_mismatch_of_a_prompt_is_raised_where_it_is_sent(socket_of, hello, frames):
    socket = socket_of(*hello)
    await say(socket, hello[0])
    await socket.recv()
    with pytest.raises(CassetteMismatchError) as first:
        await say(socket, frames.prompt("good bye"))
    with pytest.raises(CassetteMismatchError) as second:
        await socket.recv()
    assert first.value is second.value


async def test_mismatch_of_an_answer_is_raised_where_the_turn_reads(socket_of, hello, frames):
    socket = socket_of(*hello)
    await say(socket, hello[0])
    await say(socket, hello[2])
    for _ in range(3):
        await socket.recv()
    await say(socket, frames.result("call-1", 4))  # the SDK sends it in a task of its own
    with pytest.raises(CassetteMismatchError, match="result"):
        await socket.recv()
    with pytest.raises(CassetteMismatchError):
        await say(socket, frames.prompt("go on"))


async def test_other_tasks_run_after_a_request_and_after_some_frames(socket_of, frames):
    steps = [frames.step("a" * n, state="STATE_ACTIVE") for n in range(1, 21)]
    socket = socket_of(
        frames.config(), frames.ready(), frames.prompt("hello"),
        frames.call("call-1"), frames.step("called"), frames.result("call-1", 3), *steps,
    )  # fmt: skip
    await say(socket, frames.config())
    await say(socket, frames.prompt("hello"))
    await received(socket, 2)
    assert await received(socket, 1) == [True]  # the client works on the call
    await say(socket, frames.result("call-1", 3))
    ran = await received(socket, len(steps))
    assert 2 <= sum(ran) <= 3


async def test_frames_after_a_turn_come_before_other_tasks(socket_of, frames):
    late = [frames.usage(number) for number in range(20)]
    socket = socket_of(
        frames.config(), frames.ready(), frames.prompt("hello"), frames.step("hello"),
        frames.idle(), *late, frames.prompt("again"), frames.step("again", index=1),
    )  # fmt: skip
    await say(socket, frames.config())
    await say(socket, frames.prompt("hello"))
    await received(socket, 3)
    assert await received(socket, len(late)) == [False] * len(late)
