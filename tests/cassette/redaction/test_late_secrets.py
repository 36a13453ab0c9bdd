"""A value that a later frame shows to be secret is removed from earlier frames, too."""

import urllib.request
from http.server import BaseHTTPRequestHandler

import pytest
from google.antigravity.hooks import policy

from agy_nb import Runtime, RuntimeConfig, use_cassette
from agy_nb.testing import ScriptedModel, call, say
from tests.support.http_site import served

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]
WORD = "hunter2-Zq9x-77"
SCRIPT = [call("login", user="ada"), say(["Logged in with hunt", "er2-Zq9x-77."]), say("Yes.")]


def login(user: str) -> dict[str, str]:
    """Log in."""
    return {"user": user, "password": WORD}


async def talk(runtime, model, save=None):
    agent = await runtime.create_agent(model.config(), tools=[login], policies=[policy.allow_all()])
    prompts = (f"My word is {WORD}. Log in.", f"Was it {WORD}?")
    answers = [await agent.chat_text(prompt) for prompt in prompts]
    if save is not None:
        await agent.save_cassette(save)
    return answers


def texts_of(folder):
    return "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file())


async def record(path, mode):
    async with ScriptedModel(SCRIPT) as model, use_cassette(path, mode), Runtime() as runtime:
        assert await talk(runtime, model) == [f"Logged in with {WORD}.", "Yes."]


@pytest.mark.parametrize("modes", [["once"], ["all", "all"]])
@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_no_frame_keeps_a_secret_that_a_later_one_names(tmp_path, modes, seam):
    path = tmp_path / "cassettes" / "c"
    for mode in modes:
        await record(path, mode)
    assert "My word is {{agy:secret}}. Log in." in texts_of(path)
    assert WORD not in texts_of(path.parent)
    async with (
        ScriptedModel([]) as model,
        use_cassette(path, "none", seam=seam),
        Runtime() as runtime,
    ):
        assert await talk(runtime, model) == ["Logged in with {{agy:secret}}.", "Yes."]


async def test_saved_cassette_keeps_no_secret_that_a_later_frame_names(tmp_path):
    config = RuntimeConfig(keep_frames=True)
    async with ScriptedModel(SCRIPT) as model, Runtime(config) as runtime:
        await talk(runtime, model, tmp_path / "c")
    assert "My word is {{agy:secret}}. Log in." in texts_of(tmp_path / "c")
    assert WORD not in texts_of(tmp_path / "c")


class Vault(BaseHTTPRequestHandler):
    """Answers with a word that nothing in the response names a secret."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"It is {WORD}".encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def vault():
    with served(Vault) as server:
        yield f"http://127.0.0.1:{server.server_port}/"


async def test_request_of_a_tool_keeps_no_secret_that_a_later_frame_names(tmp_path, vault):
    def fetch() -> dict[str, str]:
        """Fetch the word."""
        with urllib.request.urlopen(vault) as response:
            return {"password": response.read().decode().rpartition(" ")[2]}

    async with (
        ScriptedModel([call("fetch"), say("Done.")]) as model,
        use_cassette(tmp_path / "c", "once", tool_http=True),
        Runtime() as runtime,
    ):
        agent = await runtime.create_agent(
            model.config(), tools=[fetch], policies=[policy.allow_all()]
        )
        assert await agent.chat_text("Fetch it") == "Done."
    assert "It is {{agy:secret}}" in (tmp_path / "c" / "tools.yaml").read_text(encoding="utf-8")
    assert WORD not in texts_of(tmp_path / "c")
