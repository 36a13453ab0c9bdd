"""`agy.fork` inside `use_cassette`: the agent that goes on is recorded and replayed."""

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, say
from tests.cassette.rebuild.test_fork_recording import record, said

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_a_continued_recording_is_recorded_and_replayed(tmp_path, seam):
    async def work(model, mode):
        async with agy.use_cassette(tmp_path / "new", mode, seam=seam):
            agent = await agy.fork(tmp_path / "old", 1, config=model.config())
            texts = [await agent.chat_text("three")]
            branch = await agent.fork()
            texts.append(await branch.chat_text("four"))
            found = [texts, await said(agent), await said(branch)]
            await branch.shutdown()
            await agent.shutdown()
        return found

    await record(tmp_path / "old", "one", "two")
    async with ScriptedModel(lambda request: say(f"{request.user_texts}")) as model:
        recorded = await work(model, "all")
        requests = len(model.requests)
        assert requests == 2
        assert await work(model, "none") == recorded
        assert len(model.requests) == requests
    assert recorded[0] == ["['one', 'three']", "['one', 'three', 'four']"]
