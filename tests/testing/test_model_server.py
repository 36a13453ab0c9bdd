"""What goes over the wire, and that the server always comes down."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import time

import aiohttp
import pytest
from aiohttp import web

from agy_nb.testing import (
    HALF_A_CHUNK,
    ModelTurn,
    ScriptCrashedError,
    ScriptedModel,
    ScriptExhaustedError,
    ScriptUsage,
    TurnsUnusedError,
    block,
    call,
    drop,
    each,
    fail,
    garbage,
    hang,
    image,
    say,
    think,
)
from agy_nb.testing.script.model_turn import FunctionCall
from tests.support.logs import logged


async def test_gemini_streams_each_chunk_and_ends_with_reason_and_usage(client):
    async with ScriptedModel([think("hm") + say(["Hel", "lo"]) + call("f", x=1)]) as model:
        *chunks, last = await client.events(client.gemini(model))
    parts = [event["candidates"][0]["content"]["parts"][0] for event in chunks]
    assert parts == [
        {"text": "hm", "thought": True},
        {"text": "Hel"},
        {"text": "lo"},
        {"functionCall": {"name": "f", "args": {"x": 1}}},
    ]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"]["totalTokenCount"] > 0
    assert all("finishReason" not in event["candidates"][0] for event in chunks)


async def test_gemini_events_end_as_measured(client):
    async with ScriptedModel([say("a")]) as model, client.gemini(model) as response:
        assert response.content_type == "text/event-stream"
        raw = await response.read()
    assert raw.endswith(b"}\r\n\r\n")
    assert all(event.startswith(b"data: {") for event in raw.split(b"\r\n\r\n")[:-1])


async def test_gemini_answers_in_one_document_too(client):
    picture = b"\x89PNG"
    async with (
        ScriptedModel([say(["a", "b"]) + image(picture)]) as model,
        client.gemini(model, method="generateContent") as response,
    ):
        answer = await response.json()
    parts = answer["candidates"][0]["content"]["parts"]
    assert parts[:2] == [{"text": "a"}, {"text": "b"}]
    assert base64.b64decode(parts[2]["inlineData"]["data"]) == picture


async def test_counting_tokens_takes_no_turn(client):
    async with ScriptedModel([say("a")]) as model:
        async with client.gemini(model, method="countTokens") as response:
            assert (await response.json())["totalTokens"] > 0
        assert len(model.unused) == 1
        await client.events(client.gemini(model))


async def test_usage_is_what_the_turn_says(client):
    usage = ScriptUsage(prompt=100, cached=40, candidates=7, thoughts=3)
    async with ScriptedModel([say("a", usage=usage, service_tier="flex")]) as model:
        *_, last = await client.events(client.gemini(model))
    assert last["usageMetadata"] == {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 110,
        "serviceTier": "flex",
    }


async def test_usage_that_is_not_said_is_the_same_in_every_run(client):
    async with ScriptedModel(say("abcdefgh") + think("abc")) as model:
        first, second = [
            (await client.events(client.gemini(model)))[-1]["usageMetadata"] for _ in range(2)
        ]
    assert first == second
    assert (first["candidatesTokenCount"], first["thoughtsTokenCount"]) == (2, 1)


async def test_a_blocked_prompt_has_no_candidate(client):
    async with ScriptedModel([block("SAFETY")]) as model:
        (event,) = await client.events(client.gemini(model))
    assert event["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in event


async def test_openai_streams_until_done(client):
    async with ScriptedModel([think("hm") + say(["Hel", "lo"])]) as model:
        *chunks, last, usage, done = await client.events(client.openai(model))
    deltas = [event["choices"][0]["delta"] for event in chunks]
    assert [delta.get("content") for delta in deltas] == [None, "Hel", "lo"]
    assert deltas[0]["reasoning_content"] == "hm"
    assert last["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] > 0
    assert done == "[DONE]"


async def test_openai_numbers_its_tool_calls(client):
    async with ScriptedModel([call("f", x=1) + call("g")]) as model:
        first, second, last, *_ = await client.events(client.openai(model))
    made = [event["choices"][0]["delta"]["tool_calls"][0] for event in (first, second)]
    assert [(item["index"], item["function"]["name"]) for item in made] == [(0, "f"), (1, "g")]
    assert made[0]["function"]["arguments"] == '{"x": 1}'
    assert made[0]["id"] != made[1]["id"]
    assert last["choices"][0]["finish_reason"] == "tool_calls"


async def test_openai_answers_in_one_document_too(client):
    async with (
        ScriptedModel([say("Hello", finish_reason="MAX_TOKENS")]) as model,
        client.openai(model, stream=False) as response,
    ):
        choice = (await response.json())["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "length")


async def test_openai_is_found_with_and_without_v1(client):
    async with ScriptedModel(say("a")) as model:
        for url in (model.base_url, model.openai_base_url):
            async with client.get(f"{url}/models") as response:
                assert (await response.json())["data"]
            async with client.post(f"{url}/chat/completions", b'{"messages": []}') as response:
                assert response.status == 200


async def test_an_http_error_has_googles_form_and_its_headers(client):
    turn = fail(429, retry_after=2, retry_delay=3, headers={"X-Mine": "1"})
    async with ScriptedModel([turn]) as model, client.gemini(model) as response:
        assert response.status == 429
        assert (response.headers["Retry-After"], response.headers["X-Mine"]) == ("2", "1")
        error = (await response.json())["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert error["details"][0]["retryDelay"] == "3s"


async def test_an_http_error_may_have_any_body(client):
    async with (
        ScriptedModel([fail(503, body=b"<html>")]) as model,
        client.gemini(model) as response,
    ):
        assert (response.status, await response.read()) == (503, b"<html>")


async def test_a_drop_breaks_the_connection_in_mid_stream(client):
    async with ScriptedModel([drop("so far")]) as model, client.gemini(model) as response:
        assert b"so far" in await response.content.readany()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_drop_in_the_middle_of_a_chunk_sends_its_beginning(client):
    turn = drop("so far", data=HALF_A_CHUNK)
    pieces = []
    async with ScriptedModel([turn]) as model, client.gemini(model) as response:

        async def read():
            async for piece in response.content.iter_any():
                pieces.append(piece)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(aiohttp.ClientPayloadError):
            await read()
    assert b"".join(pieces).endswith(HALF_A_CHUNK)


async def test_a_line_that_drips_sends_byte_by_byte(client):
    began = time.monotonic()
    async with ScriptedModel([say("a", byte_delay_s=0.001)]) as model:
        first, last = await client.events(client.gemini(model))
    assert first["candidates"][0]["content"]["parts"] == [{"text": "a"}]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert time.monotonic() - began > 0.001 * len('data: {"candidates":[{"content":')


async def test_a_drop_alone_gives_no_answer(client):
    async with ScriptedModel([drop()]) as model:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.gemini(model)


async def test_garbage_comes_as_it_is(client):
    async with ScriptedModel([garbage(b"\x00\xff")]) as model, client.gemini(model) as response:
        assert await response.read() == b"\x00\xff"


async def test_delays_hold_the_answer_back(client):
    started = time.monotonic()
    async with ScriptedModel(
        [say("ab", delay_s=0.05), say(list("abc"), chunk_delay_s=0.05)]
    ) as model:
        await client.events(client.gemini(model))
        assert time.monotonic() - started >= 0.05
        await client.events(client.gemini(model))
    assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize("turn", [hang(), hang("so far"), say("a", delay_s=3600)])
async def test_stop_breaks_what_hangs(client, turn):
    model = await ScriptedModel([turn]).start()
    asking = asyncio.create_task(client.events(client.gemini(model)))
    await model.requested()
    async with asyncio.timeout(2):
        await model.stop()
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_stop_breaks_a_function_that_never_answers(client):
    async def never(_request):
        await asyncio.Event().wait()

    model = await ScriptedModel(never).start()
    asking = asyncio.create_task(client.events(client.gemini(model)))
    await model.requested()
    async with asyncio.timeout(2):
        await model.stop()
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_a_client_that_goes_ends_a_hang(client):
    ended = asyncio.Event()

    async def watched(_request):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with ScriptedModel(watched) as model:
        asking = asyncio.create_task(client.events(client.gemini(model)))
        await model.requested()
        asking.cancel()
        async with asyncio.timeout(2):
            await ended.wait()
        assert model.statistics().active == 0


async def test_starting_and_stopping_twice_does_nothing():
    model = ScriptedModel([])
    await model.start()
    port = model.port
    await model.start()
    assert model.port == port
    await model.stop()
    await model.stop()


async def test_it_can_be_started_again(client):
    model = ScriptedModel([say("a"), say("b")])
    for _ in range(2):
        async with model:
            await client.events(client.gemini(model))
    assert len(model.requests) == 2


async def test_it_listens_on_loopback_only():
    async with ScriptedModel([]) as model:
        host = model.base_url.removeprefix("http://").rpartition(":")[0]
        assert ipaddress.ip_address(host).is_loopback


def test_the_address_of_a_model_that_never_started_is_an_error():
    with pytest.raises(RuntimeError, match="not started"):
        _ = ScriptedModel([]).base_url


async def ask_in_vain(client, model):
    async with client.gemini(model) as response:
        assert response.status == 400
        return (await response.json())["error"]["message"]


async def test_a_script_that_is_over_answers_400(client):
    model = await ScriptedModel([]).start()
    assert "the script has 0" in await ask_in_vain(client, model)
    assert len(model.errors) == 1
    await model.stop()


async def test_a_script_that_is_over_fails_the_test(client):
    async def the_test():
        async with ScriptedModel([]) as model:
            await ask_in_vain(client, model)

    with pytest.raises(ScriptExhaustedError, match="the script has 0"):
        await the_test()


async def test_a_test_that_fails_learns_what_the_script_missed(client):
    async def the_test():
        async with ScriptedModel([]) as model:
            await ask_in_vain(client, model)
            raise AssertionError

    with pytest.raises(AssertionError) as caught:
        await the_test()
    assert any("ScriptExhaustedError" in note for note in caught.value.__notes__)


async def test_check_raises_an_error_once(client):
    model = await ScriptedModel([]).start()
    async with client.gemini(model):
        pass
    with pytest.raises(ScriptExhaustedError):
        model.check()
    model.check()
    await model.stop()


async def test_strict_wants_every_turn_played():
    with pytest.raises(TurnsUnusedError, match="1 turn of the script was not used"):
        async with ScriptedModel([say("a")], strict=True):
            pass


async def test_not_strict_lets_turns_be():
    async with ScriptedModel([say("a")]) as model:
        pass
    assert model.unused == (say("a"),)


async def test_a_body_that_is_no_json_is_refused(client):
    async with ScriptedModel(say("a")) as model:
        for data in (b"{", b"[]", b"\xff"):
            async with client.post(
                f"{model.base_url}/v1beta/models/m:generateContent", data
            ) as got:
                assert got.status == 400


async def test_an_unknown_method_is_not_found(client):
    async with (
        ScriptedModel(say("a")) as model,
        client.gemini(model, method="embedContent") as response,
    ):
        assert response.status == 404


async def test_the_paths_of_other_services_lead_here_too(client):
    async with ScriptedModel(say("a")) as model:
        for path in (
            "v1beta/tunedModels/x",
            "v1/projects/p/locations/l/publishers/google/models/x",
        ):
            async with client.post(f"{model.base_url}/{path}:generateContent", b"{}") as response:
                assert response.status == 200
        assert [request.model for request in model.requests] == ["x", "x"]


async def test_it_keeps_as_many_requests_as_it_is_told(client):
    async with ScriptedModel(say("a"), keep_requests=2) as model:
        for prompt in "abc":
            await client.events(client.gemini(model, prompt))
        assert [request.user_text for request in model.requests] == ["b", "c"]
        assert model.statistics().calls == 3


@pytest.mark.slow
async def test_a_hundred_conversations_at_once(client):
    script = each([say("1"), say("2")])
    async with ScriptedModel(script) as model:

        async def converse(number):
            system = {"parts": [{"text": f"Conversation ID: {number:032x}"}]}
            for wanted in "12":
                first, _ = await client.events(client.gemini(model, systemInstruction=system))
                assert first["candidates"][0]["content"]["parts"] == [{"text": wanted}]

        await asyncio.gather(*(converse(number) for number in range(100)))
        assert model.unused == ()


async def test_a_long_answer_lets_others_have_the_loop(client):
    turns_of_others = 0

    async def other():
        nonlocal turns_of_others
        while True:
            await asyncio.sleep(0)
            turns_of_others += 1

    async with ScriptedModel([say([f"word {number} " for number in range(5000)])]) as model:
        watching = asyncio.create_task(other())
        events = await client.events(client.gemini(model))
        watching.cancel()
    assert len(events) == 5001
    assert turns_of_others > 20


async def test_client_that_goes_before_its_answer_is_no_error(client, monkeypatch, caplog):
    prepare = web.StreamResponse.prepare

    async def prepare_too_late(self, request):
        request.transport.abort()
        return await prepare(self, request)

    async with ScriptedModel([say("one"), say("two")]) as model:
        with monkeypatch.context() as patch:
            patch.setattr(web.StreamResponse, "prepare", prepare_too_late)
            with pytest.raises(aiohttp.ClientError):
                await client.events(client.gemini(model))
        await client.events(client.gemini(model))
        assert model.statistics().active == 0
    assert not logged(caplog)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("path", ["gemini", "openai"])
async def test_answer_that_cannot_be_sent_is_an_error_of_the_script(path, streaming):
    """A 500 of the server would only make the harness ask again."""
    args = {"x": 1}
    broken = say("Well.") + ModelTurn(parts=(FunctionCall("f", args),))
    args["x"] = object()
    model = await ScriptedModel([broken]).start()
    method = "streamGenerateContent" if streaming else "generateContent"
    if path == "gemini":
        url, body = f"/v1beta/models/m:{method}", {"contents": []}
    else:
        url, body = "/v1/chat/completions", {"messages": [], "stream": streaming}
    try:
        async with aiohttp.ClientSession() as client:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.post(f"{model.base_url}{url}", json=body) as answer:
                    await answer.read()
                    assert answer.status in (200, 400)
    finally:
        await model.stop()
    with pytest.raises(ScriptCrashedError, match="the answer to call 1 cannot be sent"):
        model.check()
