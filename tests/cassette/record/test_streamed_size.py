"""A streamed answer in a cassette: its words are stored once, and every reader sees all frames."""

import json

import pytest

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.cassette.inspect.readable_files import readable
from agy_nb.cassette.redaction.leaks import find_leaks, redact
from agy_nb.cassette.storage.format import (
    HEADER,
    VERSION,
    WIRE,
    Header,
    WireRecord,
    encode_line,
    read_header,
    read_lines,
)
from agy_nb.cassette.storage.migration import migrate
from agy_nb.cassette.storage.writer import CassetteWriter
from agy_nb.testing import ScriptedModel, call, words

SECRET = "ghp_" + "Zx9" * 12
ANSWER = " ".join(f"word{number}" for number in range(60))


def lines_of(answer, session=0):
    """The frames of an answer that streams in pieces, as the harness sends them."""
    yield WireRecord(session, "client", 0.0, {"userInput": {"parts": [{"text": "Go on"}]}})
    text = ""
    for number, piece in enumerate(answer, start=1):
        text += piece
        step = {
            "trajectoryId": "c0", "stepIndex": 1, "state": "STATE_ACTIVE", "thinking": "",
            "textDelta": piece, "thinkingDelta": "", "text": text,
        }  # fmt: skip
        moment = str(1_795_795_511_000_000 + 900 * number)
        frame = {"stepUpdate": step, "seqNum": str(number), "timestampMicros": moment}
        yield WireRecord(session, "harness", 0.0009, frame)


def written(path, answer):
    """A cassette with one streamed answer."""
    CassetteWriter(path, Header(), keep=lines_of(answer)).finish()
    return path


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Sunny in {city}."


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_streamed_answer_replays_with_every_piece(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    script = [call("get_weather", city="Paris"), words(ANSWER, chunk_delay_s=0.002)]
    async with ScriptedModel(script) as model:
        config = model.config()
        for _ in range(2):
            async with use_cassette("cassettes/one"), agy.Runtime() as runtime:
                agent = await runtime.create_agent(config, tools=[get_weather])
                response = await agent.chat("How is it?")
                said.append([piece async for piece in response.text_stream()])
    assert said[0] == said[1]
    assert "".join(said[0]) == ANSWER
    assert len(said[0]) > 1
    lines = (tmp_path / "cassettes/one" / WIRE).read_text().splitlines()
    assert sum("word0" in line for line in lines) == 1, "no frame repeats the text so far"


def test_recording_stores_each_piece_once(tmp_path):
    path = written(tmp_path / "c", [f"word{number} " for number in range(300)])
    assert [line.frame for line in read_lines(path)] == [
        line.frame for line in lines_of([f"word{number} " for number in range(300)])
    ]
    assert (path / WIRE).stat().st_size < 300 * 120


def test_secret_that_spans_two_pieces_is_found_and_removed(tmp_path):
    path = written(tmp_path / "c", ["The key is ", SECRET[:12], SECRET[12:], " ok. ", "Done."])
    assert SECRET not in (path / WIRE).read_text(), "no line holds the whole secret"
    assert {leak.file for leak in find_leaks(path, ())} == {WIRE}
    redact(path, ())
    assert list(find_leaks(path, ())) == []
    texts = [
        line.frame["stepUpdate"]["text"] for line in read_lines(path) if line.direction == "harness"
    ]
    assert texts[-1] == "The key is {{agy:secret}} ok. Done."
    assert all(SECRET[:12] not in text and SECRET[12:] not in text for text in texts)


def test_secret_in_the_changes_of_a_line_is_found(tmp_path):
    path = written(tmp_path / "c", ["a", "b", "c"])
    raw = (path / WIRE).read_text().replace('"textDelta":"b"', f'"textDelta":"b","note":"{SECRET}"')
    (path / WIRE).write_text(raw)
    assert {leak.file for leak in find_leaks(path, ())} == {WIRE}


def test_older_cassette_is_read_and_migrated(tmp_path):
    pieces = ["One ", "two ", "three"]
    path = written(tmp_path / "c", pieces)
    (path / WIRE).write_bytes(b"".join(map(encode_line, lines_of(pieces))))
    header = json.loads((path / HEADER).read_text())
    size = (path / WIRE).stat().st_size
    (path / HEADER).write_text(json.dumps(header | {"version": 3, "size": size}))
    frames = [line.frame for line in read_lines(path)]
    assert migrate(path).after == read_header(path).version == VERSION
    assert [line.frame for line in read_lines(path)] == frames
    assert (path / WIRE).stat().st_size < 0.7 * size


def test_text_for_git_is_the_same_for_both_formats(tmp_path):
    path = written(tmp_path / "c", ["One ", "two ", "three"])
    in_full = tmp_path / "full.jsonl"
    in_full.write_bytes(b"".join(map(encode_line, lines_of(["One ", "two ", "three"]))))
    text = list(readable(path / WIRE))
    assert text == list(readable(in_full))
    assert any("One two three" in line for line in text)


def test_tables_read_the_changes_and_name_damage(tmp_path):
    pieces = [f"word{number} " for number in range(20)]
    path = written(tmp_path / "c", pieces)
    before = agy.load(path)
    assert list(before.sessions["n_frames"]) == [21]
    lines = (path / WIRE).read_text().splitlines(keepends=True)
    (path / WIRE).write_text("".join([*lines[:5], "{broken\n", *lines[6:]]))
    after = agy.load(path)
    assert {"damaged"} <= set(after.problems["problem"])
    assert 6 in set(after.problems["line"])
    assert list(after.sessions["n_frames"]) == [5], "no frame is restored from a wrong one"
