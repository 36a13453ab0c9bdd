"""A default runtime of its own for each test, since `agy.fork` uses the default one."""

import pytest

import agy_nb as agy


@pytest.fixture(autouse=True)
async def _default_runtime():
    await agy.runtime().close()
    agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
    yield
    await agy.runtime().close()
