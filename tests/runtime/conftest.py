import asyncio
from contextlib import asynccontextmanager

import pytest

import agy_nb as agy
from tests.support.memory import MemoryBackend, echo


def settings(**limits) -> agy.RuntimeConfig:
    return agy.RuntimeConfig(**{"chat_pause": 0, **limits})


@asynccontextmanager
async def runtime_with(play=echo, *, backend=None, **limits):
    async with agy.Runtime(settings(**limits), backend=backend or MemoryBackend(play)) as runtime:
        yield runtime


@asynccontextmanager
async def agent_with(play=echo, *, limits=None, **parts):
    async with runtime_with(play, **(limits or {})) as runtime:
        yield await runtime.create_agent({}, **parts)


async def hangs(turn):
    """Say something, and nothing more for ever."""
    turn.say("partial ")
    await asyncio.Event().wait()


async def first_piece(response) -> str:
    """Wait until the turn has said something."""
    async for piece in response.text_stream():
        return piece
    raise AssertionError("the turn said nothing")


@pytest.fixture
def no_task_is_left():
    """Call it at the end: nothing runs but the test itself."""

    async def check():
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    return check
