"""The scripted and the echo model serve programs of this machine, and model requests only."""

import json
import logging

import aiohttp
import pytest

from agy_nb.testing import EchoModel, ScriptedModel, say

PATHS = ("/v1beta/models/m:streamGenerateContent", "/v1beta/models/m:countTokens",
         "/v1/chat/completions")  # fmt: skip
WRONG = [5, None, "x", [], {}, [5], [None], [[]], {"a": 5}, True, 1e300, [{"parts": 5}],
         [{"role": 5}], [{"parts": [5]}], [{"functionDeclarations": 5}], [{"function": 5}],
         [{"parts": [{"functionResponse": 5}], "role": "user"}], [{"role": "tool", "content": 5}],
         [{"role": "user", "content": [5]}]]  # fmt: skip


@pytest.fixture(params=[ScriptedModel, EchoModel])
async def model(request):
    made = EchoModel() if request.param is EchoModel else ScriptedModel([say("No.")] * 999)
    async with made as model:
        yield model


async def post(model, path, data, **headers):
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as client,
        client.post(f"{model.base_url}{path}", data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


JSON = {"Content-Type": "application/json"}
GOOD = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [
    JSON | {"Origin": "https://evil.example"}, JSON | {"Origin": "null"},
    JSON | {"Origin": "http://127.0.0.1.evil.example"}, JSON | {"Host": "evil.example"},
    JSON | {"Host": "evil.example:80"}, JSON | {"Host": "127.0.0.1.evil.example"},
    JSON | {"Host": "[::::"}, {"Content-Type": "text/plain"}, {"Content-Type": "text/plain;a=b"},
    {"Content-Type": "application/x-www-form-urlencoded"}, {},
], ids=str)  # fmt: skip
@pytest.mark.slow
async def test_page_of_elsewhere_is_refused(model, path, headers):
    status, text = await post(model, path, GOOD, **headers)
    assert status in (403, 415)
    assert "No." not in text
    assert model.requests == []


async def test_program_of_this_machine_is_answered():
    async with ScriptedModel([say("Yes.")] * 3) as model:
        port = model.base_url.rpartition(":")[2]
        for headers in ({}, {"Origin": "http://localhost:8888"}, {"Host": f"localhost:{port}"}):
            status, text = await post(model, PATHS[0], GOOD, **JSON, **headers)
            assert (status, "Yes." in text) == (200, True)


async def test_list_of_models_is_for_no_page_either(model):
    async with (
        aiohttp.ClientSession(headers={"Origin": "https://evil.example"}) as client,
        client.get(f"{model.base_url}/v1/models") as answer,
    ):
        assert answer.status == 403


@pytest.mark.slow
@pytest.mark.parametrize("path", [PATHS[0], PATHS[2]])
async def test_garbage_is_refused_in_words(model, path, caplog):
    bodies = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"null", b"5"]
    for name in ("contents", "messages", "tools", "systemInstruction", "stream_options", "model",
                 "sessionId", "stream"):  # fmt: skip
        bodies += [
            json.dumps({"contents": [], "messages": [], name: value}).encode() for value in WRONG
        ]
    with caplog.at_level(logging.ERROR):
        for body in bodies:
            status, text = await post(model, path, body, **JSON)
            assert status in (200, 400), (body[:80], status)
            assert "Traceback" not in text
    assert not [record for record in caplog.records if record.exc_info]


async def test_body_has_a_bound(model, monkeypatch):
    from agy_nb.testing import model_server

    assert model_server.MAX_BODY_BYTES <= 2**27
    model._server._runner.app._client_max_size = 1000  # as if it were that large
    status, _ = await post(model, PATHS[0], b"[" * 2000, **JSON)
    assert status == 413
