"""`tool_http=True`: what host tools ask other machines is recorded and replayed by vcrpy."""

import re
from http.server import BaseHTTPRequestHandler

import aiohttp
import pytest
import requests

import agy_nb as agy
from agy_nb.cassette import CassetteInvalidError, CassetteMismatchError, use_cassette
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting
from tests.support.http_site import served

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]

KEY = "AIza" + "S" * 35


class Weather(BaseHTTPRequestHandler):
    """Says how it is, and how often it was asked."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        body = f'{{"sky": "blue", "asked": {self.asked}}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "sid=0123456789abcdef")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Weather.asked = 0
    with served(Weather) as server:
        yield server


@pytest.fixture
def tools(server):
    url = f"http://127.0.0.1:{server.server_port}/sky"

    def with_requests(city: str) -> str:
        """Ask with requests."""
        answer = requests.get(url, params={"city": city, "key": KEY}, timeout=5)
        return answer.text

    async def with_aiohttp(city: str) -> str:
        """Ask with aiohttp."""
        async with aiohttp.ClientSession() as client, client.get(url, params={"q": city}) as answer:
            return await answer.text()

    return [with_requests, with_aiohttp]


async def talk(at, tools, **settings):
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        agent = await runtime.create_agent(at.config(tools=tools, **settings))
        response = await agent.chat("How is it?")
        await response.text()
        return [result.result or result.error for result in response.tool_results]


SCRIPT = [
    call("with_requests", city="Rome"),
    call("with_aiohttp", city="Rome"),
    say("Blue."),
]


@pytest.fixture
async def recorded(tmp_path, tools):
    async with (
        ScriptedModel(SCRIPT) as model,
        use_cassette(tmp_path / "c", tool_http=True),
    ):
        return await talk(Setting(model.base_url, tmp_path / "then"), tools)


@pytest.fixture
def at(tmp_path):
    return Setting(NO_MODEL, tmp_path / "now")


async def test_replay_asks_nobody_and_answers_the_same(recorded, tools, tmp_path, at):
    assert Weather.asked == 2
    async with use_cassette(tmp_path / "c", "none", tool_http=True):
        assert await talk(at, tools) == recorded
    assert Weather.asked == 2


async def test_without_it_the_tool_asks_again_and_its_result_differs(recorded, tools, tmp_path, at):
    with pytest.raises(CassetteMismatchError, match="the result of a host tool"):
        async with use_cassette(tmp_path / "c", "none"):
            await talk(at, tools)
    assert Weather.asked > 2


async def test_no_secret_and_no_request_to_the_model_is_kept(recorded, tmp_path):
    kept = (tmp_path / "c" / "tools.yaml").read_text(encoding="utf-8")
    assert "city=Rome" in kept
    assert KEY not in kept
    assert "0123456789abcdef" not in kept
    assert "generateContent" not in kept


async def test_file_that_is_no_cassette_of_vcrpy_is_said(recorded, tools, tmp_path, at):
    (tmp_path / "c" / "tools.yaml").write_text("- nonsense", encoding="utf-8")
    with pytest.raises(CassetteInvalidError, match=r"tools\.yaml is not a file of vcrpy"):
        async with use_cassette(tmp_path / "c", "none", tool_http=True):
            await talk(at, tools)


async def test_later_redaction_covers_it(recorded, tmp_path):
    redact(tmp_path / "c", [re.compile("blue")])
    assert "blue" not in (tmp_path / "c" / "tools.yaml").read_text(encoding="utf-8")


async def test_replayed_session_asks_nobody_while_new_ones_are_recorded(
    recorded, tools, tmp_path, at
):
    assert Weather.asked == 2
    async with use_cassette(tmp_path / "c", "new_episodes", tool_http=True):
        assert await talk(at, tools) == recorded
    assert Weather.asked == 2


async def test_new_session_beside_a_replayed_one_adds_its_requests(recorded, tools, tmp_path, at):
    script = [call("with_requests", city="Oslo"), say("Grey.")]
    other = {"system_instructions": "Be brief."}
    async with (
        ScriptedModel(script) as model,
        use_cassette(tmp_path / "c", "new_episodes", tool_http=True),
    ):
        assert await talk(at, tools) == recorded
        new = await talk(Setting(model.base_url, tmp_path / "new"), tools, **other)
    assert Weather.asked == 3
    async with use_cassette(tmp_path / "c", "none", tool_http=True):
        assert await talk(at, tools, **other) == new
        assert await talk(at, tools) == recorded
    assert Weather.asked == 3


@pytest.mark.parametrize("seam", ["wire", "model"])
@pytest.mark.parametrize("mode", ["none", "new_episodes"])
async def test_damaged_file_is_named_and_locks_nothing(tmp_path, seam, mode):
    path = tmp_path / "c"

    async def record():
        async with ScriptedModel([say("Hello.")]) as model, use_cassette(path, "all"):
            agent = await agy.create_agent(model.config())
            assert await agent.chat_text("Hi") == "Hello."
            await agent.shutdown()

    await record()
    (path / "tools.yaml").write_text("[[[:")
    named = re.escape(f"{path / 'tools.yaml'} ")
    with pytest.raises(CassetteInvalidError, match=named):
        async with use_cassette(path, mode, seam=seam, tool_http=True):
            await agy.create_agent(Setting(NO_MODEL, tmp_path / "at").config())
    await record()
