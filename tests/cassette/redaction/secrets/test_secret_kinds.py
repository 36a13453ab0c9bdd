"""Ninety-five kinds of secrets, each in the text in which it was met.

The texts are stored backwards: scanners of hosting sites take them for real ones otherwise.
"""

import json
from pathlib import Path

import pytest

from agy_nb.cassette.redaction import Redactor, engine

KINDS = {
    kind: {name: text[::-1] for name, text in case.items()}
    for kind, case in json.loads(Path(__file__).with_name("secret_kinds.json").read_text()).items()
}


@pytest.fixture(scope="module")
def redactor():
    return Redactor(environ={}, places={})


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_secret_is_taken_out(kind, redactor):
    assert KINDS[kind]["secret"] not in redactor.text(KINDS[kind]["text"])


@pytest.mark.parametrize("kind", KINDS)
def test_kind_is_known_without_the_engine_too(kind, monkeypatch):
    monkeypatch.setattr(engine, "_forked", True)
    clean = Redactor(environ={}, places={}).text(KINDS[kind]["text"])
    assert KINDS[kind]["secret"] not in clean


@pytest.mark.parametrize("kind", KINDS)
def test_kind_is_taken_out_of_json_in_json(kind, redactor):
    text = json.dumps({"result": json.dumps({"output": f"read:\n{KINDS[kind]['text']}\n"})})
    clean = json.loads(json.loads(redactor.text(text))["result"])["output"]
    assert KINDS[kind]["secret"] not in clean
