"""Nothing that is not ours reaches a terminal with characters that it obeys, or that hide."""

import json
import logging
import subprocess
import sys
import unicodedata

import pytest

import agy_nb as agy
from agy_nb import cli
from agy_nb.cassette.matching.mismatch import Reporter
from agy_nb.cassette.storage.format import HEADER, Header, WireRecord, encode_line
from agy_nb.cassette.storage.writer import CassetteWriter

EVIL = (
    "\x1b[2J\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x9b31m\x9d8;;evil\x9c\x08\x7f"
    "\u202ertl\u2066\u200b\u2028\U000e0041"
)
ALLOWED = "\n\t"


def obeyed(text):
    """Characters in a text that a terminal obeys, or that cannot be seen."""
    return {
        f"U+{ord(each):04X}"
        for each in text
        if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") and each not in ALLOWED
    }


def frames():
    words = f"say {EVIL}"
    call = {"id": "1", "name": f"tool{EVIL}", "argumentsJson": json.dumps({"a": EVIL})}
    yield "client", {"config": {"models": [{"name": words}], "tools": [{"name": words}]}}
    yield "client", {"userInput": {"parts": [{"text": words}]}}
    step = {"state": "STATE_DONE", "source": "SOURCE_MODEL", "stepIndex": 1, "trajectoryId": "t"}
    yield "harness", {"stepUpdate": step | {"text": words, "thinking": words}}
    yield "harness", {"stepUpdate": step | {"state": "STATE_ERROR", "errorMessage": words}}
    yield "harness", {"toolCall": call}
    yield "client", {"toolResponse": {"id": "1", "responseJson": json.dumps({"result": EVIL})}}
    yield "harness", {"usageUpdate": {"total": {"totalTokenCount": words}}}
    yield "harness", {"trajectoryStateUpdate": {"trajectoryId": "t", "state": "STATE_FULLY_IDLE"}}


@pytest.fixture
def cassettes(tmp_path):
    for name in (f"a{EVIL}", "b"):
        journal = CassetteWriter(tmp_path / name, Header(sdk=EVIL, harness=EVIL))
        for number, (direction, frame) in enumerate(frames()):
            journal.put(0, direction, number, frame)
        if name != "b":
            journal.put(0, "client", 9.0, {"userInput": {"parts": [{"text": f"{EVIL}{EVIL}"}]}})
        journal.finish()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / HEADER).write_bytes(Header(complete=True).encode())
    line = encode_line(WireRecord(0, "client", 0, {"config": {}})).replace(b"client", EVIL.encode())
    (damaged / "wire.jsonl").write_bytes(line)
    (damaged / f"file{EVIL}").write_text("x")
    return tmp_path


@pytest.mark.parametrize("command", [
    ("cassette", "list", "."), ("cassette", "show", "a"), ("cassette", "show", "b"),
    ("cassette", "diff", "a", "b"), ("cassette", "verify", "."), ("cassette", "show", "damaged"),
    ("cassette", "redact", "."), ("cassette", "prune", "."), ("cassette", "migrate", "."),
    ("usage", "."), ("usage", ".", "--by", "tool"), ("usage", f"none{EVIL}"),
    ("cassette", "show", f"none{EVIL}"), ("cassette", "list", f"none{EVIL}"),
], ids=lambda words: " ".join(words).partition("\x1b")[0])  # fmt: skip
@pytest.mark.slow
def test_command_prints_nothing_that_a_terminal_obeys(cassettes, capfd, monkeypatch, command):
    monkeypatch.chdir(cassettes)
    cli.main([f"a{EVIL}" if word == "a" else word for word in command])
    out, err = capfd.readouterr()
    assert out + err
    assert obeyed(out + err) == set()


def test_table_of_a_terminal_is_safe_too(cassettes, capfd, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    cli.main(["cassette", "list", str(cassettes)])
    out, _ = capfd.readouterr()
    assert obeyed(out) - {"U+001B"} == set()
    assert "]0;title" not in out.replace("\\x1b]0;title", "")


def test_text_of_every_error_is_safe():
    error = agy.AgyError(f"it said {EVIL}")
    assert obeyed(str(error)) == set()
    assert "\\x1b" in str(error)
    surplus = Reporter("c", 0).surplus(1, {"userInput": {"parts": [{"text": EVIL}]}}, ())
    assert obeyed(str(surplus)) == set()


@pytest.mark.slow
def test_report_of_pytest_is_safe(tmp_path):
    (tmp_path / "test_it.py").write_text(
        f"import agy_nb as agy\n\ndef test_it():\n    raise agy.AgyError({EVIL!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=native", tmp_path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert "AgyError" in done.stdout
    assert obeyed(done.stdout) == set()


def test_guard_finds_what_it_looks_for():
    logging.getLogger(__name__).debug("the characters above are the ones that are looked for")
    assert len(obeyed(EVIL)) > 8
