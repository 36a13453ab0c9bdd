"""Libraries that record, fake or block HTTP here see nothing of a recording's requests."""

import asyncio
import contextlib
import sys

import aioresponses
import pytest
import pytest_recording.network
import pytest_socket
import responses
import respx
import vcr
from aiohttp import web

from agy_nb.cassette import use_cassette
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.http.proxy import ProxyRequest
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.storage.format import MODEL
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.testing import ScriptedModel, say
from tests.cassette.scenarios import Setting

pytestmark = pytest.mark.blocking_allowed  # opening and saving are a thread's work in real use
KEY = "key-0123456789abcdef"


@contextlib.contextmanager
def only_loopback():
    """As `pytest --allow-hosts=127.0.0.1`."""
    pytest_socket.socket_allow_hosts(["127.0.0.1"])
    try:
        yield
    finally:
        pytest_socket._remove_restrictions()


def vcrpy(mode):
    return lambda folder: vcr.use_cassette(str(folder / "theirs.yaml"), record_mode=mode)


PATCHES = {
    "vcrpy, recording": vcrpy("all"),
    "vcrpy, replaying": vcrpy("none"),
    "respx": lambda folder: respx.mock(),
    "responses": lambda folder: responses.RequestsMock(),
    "aioresponses": lambda folder: aioresponses.aioresponses(),
    "pytest-socket": lambda folder: only_loopback(),
    "pytest-recording's block": lambda folder: pytest_recording.network.blocking_context(
        allowed_hosts=["127.0.0.1"]
    ),
}


@pytest.fixture
async def elsewhere():
    """A model at an address that is not 127.0.0.1; gives its URL and what it was sent."""
    sent = []

    async def handle(request):
        sent.append(dict(request.headers))
        return web.Response(text="fine")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.2", 0).start()
    yield f"http://127.0.0.2:{runner.addresses[0][1]}", sent
    await runner.cleanup()


async def exchange(folder, url):
    """Record one exchange; gives the answer's body."""
    model = ModelRecorder(folder, Redactor(environ={}), replaying=False)
    asked = ProxyRequest(0, "POST", f"{url}/v1/m:go", {"X-Goog-Api-Key": KEY}, b"{}")
    try:
        answer = await model.answer(asked)
        body = b"".join([chunk async for chunk in answer.chunks])
    finally:
        await model.aclose()
    await asyncio.to_thread(model.save)
    return body


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is Linux's")
@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
@pytest.mark.slow
async def test_patches_of_others_do_not_see_our_request(tmp_path, elsewhere, patch):
    url, sent = elsewhere
    with patch(tmp_path):
        assert await exchange(tmp_path, url) == b"fine"
    assert sent[0]["X-Goog-Api-Key"] == KEY
    assert len(read_model(tmp_path)) == 1
    for file in tmp_path.iterdir():
        assert KEY not in file.read_text()
        assert file.name in (MODEL, "theirs.yaml")
    assert not (tmp_path / "theirs.yaml").exists()


async def test_fixture_of_pytest_httpx_does_not_see_our_request(tmp_path, elsewhere, httpx_mock):
    assert await exchange(tmp_path, elsewhere[0]) == b"fine"
    assert httpx_mock.get_requests() == []


@pytest.mark.real
@pytest.mark.vcr
@pytest.mark.block_network(allowed_hosts=["127.0.0.1", "localhost", "::1"])
async def test_agent_is_recorded_in_a_test_that_pytest_recording_replays(tmp_path, vcr):
    async with ScriptedModel([say("Hello.")]) as model:
        async with use_cassette(tmp_path / "c"):
            from google.antigravity import Agent

            async with Agent(Setting(model.base_url, tmp_path / "at").config()) as agent:
                response = await agent.chat("Hi")
                assert "".join([piece async for piece in response]) == "Hello."
        assert len(model.requests) == 1
    assert len(read_model(tmp_path / "c")) == 1
    assert vcr.play_count == 0
    assert len(vcr) == 0


async def test_process_that_makes_the_requests_ends_with_the_recording(tmp_path, elsewhere):
    model = ModelRecorder(tmp_path, Redactor(environ={}), replaying=False)
    model.open()
    await model._relay.start()
    process = model._relay._process
    assert process.returncode is None
    await model.aclose()
    model.close()
    assert process.returncode is not None


async def test_requests_go_on_after_that_process_was_killed(tmp_path, elsewhere):
    model = ModelRecorder(tmp_path, Redactor(environ={}), replaying=False)
    asked = ProxyRequest(0, "POST", f"{elsewhere[0]}/v1/m:go", {}, b"{}")
    await model._relay.start()
    model._relay._process.kill()
    await model._relay._process.wait()
    answer = await model.answer(asked)
    assert b"".join([chunk async for chunk in answer.chunks]) == b"fine"
    await model.aclose()
    model.close()


async def test_model_that_is_not_there_is_a_broken_connection(tmp_path):
    model = ModelRecorder(tmp_path, Redactor(environ={}), replaying=False)
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
        await model.answer(ProxyRequest(0, "GET", "http://127.0.0.1:9/x", {}, b""))
    with pytest.raises(ConnectionError):
        await model.answer(ProxyRequest(0, "GET", "no address", {}, b""))
    await model.aclose()
    model.close()
