"""No comparer and no codec takes more than linear time, whatever its input."""

import itertools
import json
import re

import pytest

from agy_nb.cassette.matching.compare_frames import Comparer, Difference, same_text
from agy_nb.cassette.matching.compare_requests import canonical_body
from agy_nb.cassette.matching.jsonpath import JsonPath
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.matching.text_diff import diff_of
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.sse_events import clean_stream
from agy_nb.cassette.redaction.known.known_values import KnownValues
from agy_nb.cassette.shim.handshake import parse_greeting
from agy_nb.cassette.storage.format import WireRecord, decode_line, encode_line
from agy_nb.errors import InvalidMessageError
from agy_nb.protocol import codec
from agy_nb.protocol.events import Text
from agy_nb.protocol.values import Trajectory
from agy_nb.widgets.approvals import argument_editor
from agy_nb.wire import WireReader
from agy_nb.wire.path_map import PathMap
from agy_nb.wire.summaries import digest_diff
from agy_nb.wire.summaries.digest import SessionDigest
from tests.growth import growth
from tests.growth.growth import check_growth, filled

SECRET = "{{agy:secret}}"

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


def marks_in(recorded, now):
    """A recorded text with marks, and one that differs in its last character."""
    return lambda size: (filled(recorded, size) + "end", filled(now, size) + "END")


def message(inner):
    return f'{{"family":"event","message":{{"type":"text","text":{inner}}}}}'


def decode(text):
    with pytest.raises(InvalidMessageError):
        codec.decode(text)


def refuse_edit(text):
    assert argument_editor.problem({}, text)


def all_differences(pair):
    return list(Comparer(ignore=["a.b[*].c", "*.d"]).differences(*pair))


def repeating(size):
    """An object whose last key repeats its first."""
    return "{" + ",".join(f'"{n:06}":0' for n in range(size // 11)) + ',"000000":1}'


COMPARERS = {
    "equal rows with a mark": (marks_in(f"row {SECRET} x\n", "row 1 x\n"), lambda p: same_text(*p)),
    "marks only": (marks_in(SECRET, "a"), lambda p: same_text(*p)),
    "a mark in every word": (marks_in(f"a{SECRET}", "ab"), lambda p: same_text(*p)),
    "no mark": (marks_in("row x\n", "row y\n"), lambda p: same_text(*p)),
    "a long list": (
        lambda size: ([1] * (size // 3), [2] * (size // 3)),
        all_differences,
    ),
    "a wide object": (
        lambda size: tuple(
            {f"name {n} {side}": n for n in range(size // 12)} for side in ("then", "now")
        ),
        all_differences,
    ),
    "JSON in a string in JSON": (
        lambda size: tuple(
            {"text": json.dumps({"text": json.dumps([f"{n:4}{side}" for n in range(size // 5)])})}
            for side in "ab"
        ),
        all_differences,
    ),
    "deep JSON": (
        lambda size: tuple(
            {"text": "[" * min(size // 2, 900) + side + "]" * min(size // 2, 900)} for side in "12"
        ),
        all_differences,
    ),
    "strings that begin like JSON": (
        lambda size: tuple({"text": filled("[", size) + side} for side in "ab"),
        all_differences,
    ),
}  # fmt: skip

DIFFS = {
    "few words in another order": lambda size: tuple(
        " ".join(f"w{n * step % 97}" for n in range(size // 4)) for step in (1, 31)
    ),
    "few numbers in another order": lambda size: tuple(
        [n * step % 97 for n in range(size // 3)] for step in (1, 31)
    ),
    "equal lines": lambda size: (filled("a\n", size), filled("a\n", size // 2)),
    "all lines new": lambda size: tuple(
        "\n".join(f"{side}{n}" for n in range(size // 6)) for side in "ab"
    ),
}

CODECS = {
    "keys that repeat": (
        repeating,
        decode,
    ),
    "keys that repeat within": (
        lambda size: message(repeating(size)),
        decode,
    ),
    "a long number": (lambda size: message(filled("1", size)), decode),
    "many long numbers": (
        lambda size: message(f"[{','.join([filled('9', 2000)] * max(1, size // 2000))}]"), decode,
    ),
    "deep lists": (lambda size: message(filled("[", size)), decode),
    "wide lists": (lambda size: message(f"[{'0,' * (size // 2)}0]"), decode),
    "escapes": (lambda size: message(f'"{filled(chr(92) + "ud800", size // 6 * 6)}"'), decode),
    "not JSON": (lambda size: filled('{"', size), decode),
    "edited arguments with keys that repeat": (
        repeating,
        refuse_edit,
    ),
}  # fmt: skip


def rows(size):
    return [{"session_id": f"{n * 7919:032x}", "n": n} for n in range(size // 60)]


def result(size):
    """A host tool's result with a secret in each row."""
    return {"toolResponse": {"id": "1", "responseJson": json.dumps({"result": rows(size)})}}


def step(number, text, state="STATE_ACTIVE", **fields):
    update = {"trajectoryId": "t", "stepIndex": number, "state": state, "text": text, **fields}
    return {"stepUpdate": update}


def streamed(size):
    """A step that comes in pieces of a hundred characters."""
    return [step(0, None, textDelta=filled("word ", 100)) for _ in range(size // 100)]


def read_frames(frames):
    reader, digest = WireReader(), SessionDigest()
    for frame in frames:
        reader.harness(frame)
        digest.harness(frame)
    digest.result()


def compare_digests(pair):
    digests = []
    for text in pair:
        digest = SessionDigest()
        digest.client({"userInput": {"parts": [{"text": line} for line in text.split()]}})
        digests.append(digest.result())
    return list(digest_diff.differences(0, *digests, ("one", "other")))


def redactor():
    return Redactor(environ={}, places={"{{agy:home}}": "/home/ada"})


def placeholders(text):
    config = {"config": {"appDataDir": "/then/app", "workspaces": []}}
    now = {"config": {"appDataDir": "/now/app", "workspaces": []}}
    both = Placeholders(config, now, redact=lambda text: text, places={})
    both.inward({"userInput": {"text": text.replace("then", "now")}})
    both.outward(text)


def sse(size):
    event = "data: " + json.dumps({"candidates": [{"content": {"parts": [{"text": "word "}]}}]})
    lines = [f"{event}\r\n\r\n"] * (size // len(event) + 1)
    return "".join(lines), [[len(line), 0.0] for line in lines]


def body(size, words="word "):
    part = {"text": filled(words, size)}
    call = {"functionResponse": {"id": "1", "name": "a", "response": {"output": part["text"]}}}
    return json.dumps({"contents": [{"parts": [part, call]}], "sessionId": "1"})


def find_each(values):
    known = KnownValues()
    for value in values:
        known.add([value])
        known.find(f"a row with {value} in it")


def refused(decode):
    def run(raw):
        with pytest.raises((ValueError, RecursionError)):
            decode(raw)

    return run


OTHERS = {
    "redacting rows that each have a secret": (result, lambda frame: redactor().frame(frame)),
    "redacting a body": (
        lambda size: body(size).encode(), lambda found: redactor().body(found),
    ),
    "learning values with a common beginning": (
        lambda size: [f"session-2026-{n:06}" for n in range(size // 20)],
        find_each,
    ),
    "redacting a stream": (sse, lambda found: clean_stream(*found, redactor())),
    "reading a streamed step": (streamed, read_frames),
    "reading many steps": (
        lambda size: [step(n, "x", "STATE_DONE") for n in range(size // 100)], read_frames,
    ),
    "comparing digests": (
        lambda size: (filled("a1 b2 c3 d4 e5 ", size), filled("e5 c3 a1 d4 b2 ", size)),
        compare_digests,
    ),
    "placeholders": (lambda size: filled("/then/app/x ", size), placeholders),
    "paths of a request": (
        lambda size: filled("/then/app/x ", size),
        lambda text: PathMap({"/then/app": "{{agy:app-data}}"}).message(text),
    ),
    "the canonical form of a request": (body, canonical_body),
    "a request with many ids": (
        lambda size: json.dumps(
            {"systemInstruction": "".join(
                f"Conversation ID: {n:032x}\n" for n in range(size // 50))}
        ),
        canonical_body,
    ),
    "a request with many calls": (
        lambda size: json.dumps(
            {"contents": [{"parts": [{"functionCall": {"id": str(n), "args": {}}}]}
                          for n in range(size // 60)]}
        ),
        canonical_body,
    ),
    "a JSON path": (
        lambda size: {"a": [{"note": n} for n in range(size // 12)]},
        lambda frame: JsonPath.parse("$..note").replace(frame, "x"),
    ),
    "a line of a recording": (
        lambda size: encode_line(WireRecord(0, "client", 0.0, step(0, filled("x", size)))),
        decode_line,
    ),
    "deep lines of a recording": (
        lambda size: f'[0,"client",0,{filled("[", size)}'.encode(), refused(decode_line),
    ),
    "a message of the handshake": (
        lambda size: b"\x0a\x01a" * (size // 3), parse_greeting,
    ),
    "text of an event that is written": (
        lambda size: Text(trajectory=Trajectory(), step_index=0, text=filled("\u00e9", size)),
        codec.encode,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_work_on_a_recording_takes_linear_time(name):
    check_growth(*OTHERS[name])


@pytest.mark.parametrize("name", COMPARERS)
def test_comparing_takes_linear_time(name):
    check_growth(*COMPARERS[name])


@pytest.mark.parametrize("name", DIFFS)
def test_diff_takes_linear_time(name):
    check_growth(lambda size: Difference("x", *DIFFS[name](size)), diff_of)


@pytest.mark.parametrize("name", CODECS)
def test_decoding_takes_linear_time(name):
    check_growth(*CODECS[name])


@pytest.mark.parametrize("power", [2, 3])
def test_faster_growth_is_found(power):
    def squared(size):
        for _ in itertools.product(range(size), repeat=power - 1):
            sum(range(size))

    with pytest.raises(AssertionError, match="time grows with the power"):
        check_growth(lambda size: size, squared)


def test_time_that_doubles_ends(monkeypatch):
    monkeypatch.setattr(growth, "LONGEST_S", 0.5)
    doubling = re.compile("(a|a)*b")
    with pytest.raises(AssertionError, match="more than"):
        check_growth(lambda size: filled("a", size), doubling.fullmatch)
