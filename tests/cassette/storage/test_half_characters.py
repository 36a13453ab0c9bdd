"""Half of a surrogate pair, as in a text that was cut inside an emoji, never loses a recording."""

import json

import pytest
from google.antigravity import Agent

from agy_nb.cassette import use_cassette
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.leaks import find_leaks, redact
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import (
    Header,
    SessionSummary,
    WireRecord,
    decode_line,
    encode_line,
    header_of,
)
from agy_nb.cassette.storage.model_log import ModelLog, read_model
from agy_nb.cassette.storage.shared.vcr_file import read_vcr, write_vcr
from agy_nb.protocol.codec import event_of, note_of
from agy_nb.protocol.events import ToolException
from agy_nb.testing import ScriptedModel, call, say
from agy_nb.wire.json_values import dump_json, dump_like
from tests.cassette.scenarios import NO_MODEL, Setting, turn

HALF = "é \ud83d half"
KEY = "AIza" + "Sy7" * 12


def exchange(body):
    return {
        "request": {"method": "GET", "uri": "http://x/", "body": body, "headers": {"a": [HALF]}},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {},
            "body": {"string": body},
        },
    }


@pytest.mark.parametrize("text", [HALF, "\ude00", "\ud83d\ude00", "plain", "\u2028", "\x00"])
def test_json_text_is_utf8_and_reads_the_same(text):
    written = dump_json({text: [text]})
    again = json.loads(written.encode())
    assert json.loads(json.dumps(again)) == json.loads(json.dumps({text: [text]}))
    style = '{"a": "é"}'
    assert json.loads(dump_like(style, {"a": "é"}, {"a": text}).encode())


def test_line_and_header_hold_it():
    line = WireRecord(0, "host", 0.0, {HALF: HALF, "other": "é"})
    assert decode_line(encode_line(line)) == line
    assert "é" in encode_line(line).decode(), "only the half is escaped"
    header = Header(sdk=HALF, sessions=(SessionSummary(tools=(HALF,)),))
    assert header_of(json.loads(header.encode()), "x") == header


def test_file_of_vcrpy_holds_it(tmp_path):
    write_vcr(tmp_path / "model.yaml", [exchange(HALF)])
    (again,) = read_vcr(tmp_path / "model.yaml")
    assert again["response"]["body"]["string"] == HALF.encode("utf-8", "surrogatepass")
    assert again["request"]["headers"]["a"][0].startswith("é")


def test_log_of_the_model_holds_it(tmp_path):
    log = ModelLog(tmp_path)
    log.put(lambda: exchange(HALF))
    log.finish()
    assert len(read_model(tmp_path)) == 1


def test_redactor_returns_text_that_can_be_stored():
    text = json.dumps({"key": KEY, "said": HALF, "é": "é"}, ensure_ascii=True)
    for body in (text, f"data: {text}\n\n", json.dumps([json.loads(text)])):
        clean = Redactor().body(body.encode()).decode()
        assert KEY not in clean
        assert "half" in clean


def test_host_note_is_read_with_a_replacement():
    event = ToolException(call_id="1", error_type="ValueError", message=HALF)
    assert event_of(note_of(event), 0.0).message == "é \ufffd half"


def odd_tool(city: str) -> dict:
    """Tell a thing.

    Args:
        city: The city.
    """
    return {HALF: HALF, "key": KEY}


def failing_tool(city: str) -> dict:
    """Fail.

    Args:
        city: The city.
    """
    raise ValueError(f"{HALF} {KEY} {city}")


SCRIPTS = {
    "answer": [say(f"{HALF} {KEY}")],
    "cut in two": [say(["a \ud83d", f"\ude00 {KEY}"])],
    "arguments": [call("odd_tool", city=f"{HALF} {KEY}"), say("ok")],
    "result": [call("odd_tool", city="x"), say("ok")],
    "error": [call("failing_tool", city="x"), say("ok")],
}


@pytest.mark.real
@pytest.mark.blocking_allowed
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
async def test_session_with_it_is_recorded_and_replayed(tmp_path, script):
    path = tmp_path / "c"

    async def talk(url, folder):
        config = Setting(url, tmp_path / folder).config(tools=[odd_tool, failing_tool])
        async with Agent(config) as agent:
            return await turn(agent, "Hi")

    async with ScriptedModel(script) as model, use_cassette(path):
        live = await talk(model.base_url, "live")
    assert not load(path).partial
    assert list(find_leaks(path, ())) == []
    for seam in ("wire", "model"):
        async with use_cassette(path, "none", seam=seam):
            again = await talk(NO_MODEL, seam)
        assert len(again["steps"]) == len(live["steps"])
    redact(path, ())
    assert len(load(path).sessions) == 1


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_prompt_that_the_sdk_refuses_keeps_what_was_recorded(tmp_path):
    path = tmp_path / "c"
    async with ScriptedModel([say("Hello.")]) as model:
        config = Setting(model.base_url, tmp_path / "a").config()
        async with use_cassette(path), Agent(config) as agent:
            await turn(agent, "Hi")
            with pytest.raises(UnicodeEncodeError):
                await agent.conversation.send(HALF)
    assert "Hello." in (path / "wire.jsonl").read_text()
    assert not load(path).partial
