"""A start or an end that fails or is cancelled leaves nothing open: the next one works at once."""

import asyncio
import gc
import http.client
import os
import threading
import warnings

import pytest
from google.antigravity import Agent

from agy_nb.cassette import CassetteError, CassetteInvalidError, use_cassette
from agy_nb.cassette.http.proxy import THREAD
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.ownership import RecordingLock
from agy_nb.cassette.storage.shared.vcr_file import write_vcr
from agy_nb.testing import ScriptedModel, say
from tests.cassette.scenarios import Setting
from tests.cassette.storage.recordings import EXCHANGE
from tests.support.cancelling import CancelledAt, run

ALL = bool(os.environ.get("AGY_SOAK"))
HTTPS = http.client.HTTPSConnection.request

OPTIONS = {
    "record": {"record_mode": "all"},
    "record with tools": {"record_mode": "all", "tool_http": True},
    "replay": {"record_mode": "none"},
    "replay with tools": {"record_mode": "none", "tool_http": True},
    "extend": {"record_mode": "new_episodes"},
    "replay the model": {"record_mode": "none", "seam": "model"},
    "extend the model": {"record_mode": "new_episodes", "seam": "model", "tool_http": True},
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_nothing_is_open(path):
    """Nothing is held: lock, folder, thread, proxy, patch of vcrpy, interception."""
    RecordingLock(path).release()
    assert [name for name in names(path.parent) if name != path.name] == []
    ours = [t.name for t in threading.enumerate() if t.name.startswith(("cassette", THREAD))]
    assert ours == []
    assert http.client.HTTPSConnection.request is HTTPS
    with use_cassette(path.with_name("other"), "all", record_model=False):
        pass


@pytest.fixture
async def recorded(tmp_path, cassette, hello):
    """A cassette with frames, requests to the model and HTTP of tools."""
    folder = cassette(hello)
    write_vcr(folder / "model.yaml", [EXCHANGE])
    write_vcr(folder / "tools.yaml", [EXCHANGE])
    return folder


@pytest.mark.blocking_allowed
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_start_can_be_cancelled_at_every_await(recorded, options):
    before = content(recorded)
    cancelled = 0
    for at in range(1, 100):
        for twice in (at, at + 1):
            used = use_cassette(recorded, **options)
            work = CancelledAt(used.__aenter__(), at, twice)
            await run(work)
            if not work.seen >= at:
                await used.__aexit__(RuntimeError, RuntimeError(), None)
                continue
            cancelled += 1
            assert content(recorded) == before
            assert_nothing_is_open(recorded)
        if work.seen < at:
            break
    assert cancelled


@pytest.mark.blocking_allowed
@pytest.mark.parametrize("name", ["tools.yaml", "wire.jsonl", "header.json", "model.yaml"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.slow
async def test_damaged_cassette_holds_nothing_back(recorded, options, name):
    (recorded / name).write_bytes(b"[{\x00!!python/name:os\n")
    before = content(recorded)
    try:
        async with use_cassette(recorded, allow_unplayed=True, **options):
            raise KeyError("its body runs")  # noqa: TRY301 - so that nothing is recorded
    except (CassetteError, KeyError):
        pass
    if options["record_mode"] != "all":
        assert content(recorded) == before
    assert_nothing_is_open(recorded)


@pytest.mark.blocking_allowed
async def test_damaged_tools_can_be_repaired_without_a_new_process(recorded):
    for _ in range(2):
        (recorded / "tools.yaml").write_text("[")
        with pytest.raises(CassetteInvalidError, match=r"tools\.yaml"):
            async with use_cassette(recorded, "new_episodes", seam="model", tool_http=True):
                pass
    (recorded / "tools.yaml").unlink()
    async with use_cassette(recorded, "new_episodes", seam="model", tool_http=True):
        pass
    assert load(recorded).sessions


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_end_can_be_cancelled_at_every_await(tmp_path):
    path = tmp_path / "c"
    async with ScriptedModel(lambda _: say("Hello.")) as model:
        setting = Setting(model.base_url, tmp_path / "agent")
        for at in range(1, 20):
            used = use_cassette(path, "all", record_model=at % 2 == 1)
            await used.__aenter__()
            async with Agent(setting.config()) as agent:
                await (await agent.chat(f"prompt {at}")).text()
            work = CancelledAt(used.__aexit__(None, None, None), at, at + 1)
            await run(work)
            assert f"prompt {at}" in (path / "wire.jsonl").read_text(), "the recording is saved"
            assert not load(path).partial
            RecordingLock(path).release()
            if work.seen < at:
                break
    assert names(tmp_path) == ["_shared", "agent", "c"]
    assert at > 1


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.blocking_allowed
@pytest.mark.parametrize("mode", ["all", "new_episodes", "none"])
async def test_agent_start_in_a_block_can_be_cancelled_at_every_await(tmp_path, mode):
    """The block is a plain `with`, so that the start of the agent also prepares the cassette."""
    path = tmp_path / "c"
    async with ScriptedModel(lambda _: say("Hello.")) as model:
        setting = Setting(model.base_url, tmp_path / "agent")
        async with use_cassette(path), Agent(setting.config()) as agent:
            await (await agent.chat("Hello")).text()
        before = content(path)
        at, step = 1, 1 if ALL else 5
        while True:
            with use_cassette(path, mode, allow_unplayed=True):
                agent = Agent(setting.config())
                work = CancelledAt(agent.__aenter__(), at)
                await run(work)
                if work.seen < at:
                    await agent.__aexit__(None, None, None)
            if mode == "none":
                assert content(path) == before
            assert not load(path).partial
            RecordingLock(path).release()
            assert names(tmp_path) == ["_shared", "agent", "c"]
            if work.seen < at:
                break
            at += step
    assert at > 1
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        del agent, work  # the SDK itself does not wait for a harness whose start was cancelled
        gc.collect()


@pytest.mark.blocking_allowed
async def test_agent_that_starts_after_the_block_is_refused(tmp_path):
    used = use_cassette(tmp_path / "c")
    with used:
        connect = used._use._connect  # an SDK start that is under way
    with pytest.raises(CassetteError, match="has ended"):
        await connect(None)
    assert list(tmp_path.iterdir()) == []


async def test_error_of_the_end_is_the_cause_of_a_cancellation(tmp_path):
    from agy_nb.cassette.storage.disk_work import finished

    began = threading.Event()
    go_on = threading.Event()

    def fail():
        began.set()
        go_on.wait(10)
        raise OSError(28, "No space left on device")

    task = asyncio.create_task(finished(fail))
    await asyncio.to_thread(began.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done(), "the work is not over"
    go_on.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, OSError)
