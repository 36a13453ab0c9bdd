"""Bodies of requests in parts: the same result as for a whole body, and less work."""

import json
import re

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.redaction import Redactor, redactor as module, text_redactor
from agy_nb.cassette.redaction.http.json_parts import parts_of
from tests.cassette.redaction.secrets.test_secret_kinds import KINDS

FILLER = "The weather is fine today, and it will stay so for a week or more. " * 8

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def body(*texts):
    """A request with a message per text."""
    contents = [{"parts": [{"text": text}], "role": "user"} for text in texts]
    tools = [{"functionDeclarations": [{"name": "look_up", "description": FILLER}]}]
    return json.dumps({"contents": contents, "sessionId": "-3750763034362895579", "tools": tools})


def as_a_whole(text, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_LONG", 10**9)
        redactor = Redactor(environ={})
        return redactor.text(text), redactor.counts


@given(st.dictionaries(st.text(), values), st.sampled_from([None, 1]))
def test_parts_and_joints_cover_the_whole_text(value, indent):
    text = json.dumps(value, indent=indent)
    found = parts_of(text)
    if not value:
        assert found is None
        return
    at = 0
    for part in found.parts:
        at = text.index(part.text, at) + len(part.text)
    assert len(found.joints) == len(found.parts) + 1
    assert all(joint in text for joint in found.joints)
    assert found.names == tuple(value)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "{", '{"a"}', '{"a": 1} x', '{"a": [{}', "{1: 2}"]
)
def test_other_texts_have_no_parts(text):
    assert parts_of(text) is None


@pytest.mark.parametrize("kind", KINDS)
def test_secret_is_found_in_each_message_and_across_two(kind, monkeypatch):
    secret = KINDS[kind]["text"]
    half = len(secret) // 2
    for texts in (
        [secret, FILLER, "Hello"],
        [FILLER, secret],
        [FILLER, f"{FILLER} {secret} {FILLER}", FILLER],
        [FILLER + secret[:half], secret[half:] + FILLER],
    ):
        redactor = Redactor(environ={})
        redactor.text(body(FILLER))  # so that parts are known
        counts = redactor.counts.copy()
        text = body(*texts)
        expected, expected_counts = as_a_whole(text, monkeypatch)
        assert redactor.text(text) == expected
        assert redactor.counts - counts == expected_counts


def test_values_that_become_known_later_are_found_in_known_parts():
    redactor = Redactor(environ={})
    text = body(FILLER, "The word is tulipan-47-amber.")
    assert redactor.text(text) == text
    redactor.learn("tulipan-47-amber")
    assert "tulipan" not in redactor.text(text)


def test_named_values_and_expressions_are_found():
    named = json.dumps({"name": "password", "text": FILLER * 3, "value": "tulipan-47-amber"})
    assert "tulipan" not in Redactor(environ={}).text(named)
    member = json.dumps({"text": FILLER * 3, "password": "tulipan-47-amber"})
    assert "tulipan" not in Redactor(environ={}).text(member)
    long = re.compile('fine today.*"role"', re.DOTALL)
    assert "{{agy:rule}}" in Redactor([long], environ={}).text(body(FILLER, FILLER))


@pytest.fixture
def looked(monkeypatch):
    """The lengths of the texts that were looked at."""
    looked = []
    find = text_redactor.find_secrets

    def noted(text, **how):
        looked.append(len(text))
        return find(text, **how)

    monkeypatch.setattr(text_redactor, "find_secrets", noted)
    return looked


def test_later_requests_of_a_conversation_are_looked_at_in_part(looked):
    redactor = Redactor(environ={})
    messages = [f"{n} {FILLER}" for n in range(50)]
    redactor.text(body(*messages))
    first, looked[:] = sum(looked), []
    redactor.text(body(*messages, "And now?"))
    assert sum(looked) < first / 10


def test_new_messages_do_not_have_the_instructions_after_them_looked_at_again(looked):
    redactor = Redactor(environ={})

    def request(*texts):
        return body(*texts)[:-1] + ', "systemInstruction": "' + 20 * FILLER + '"}'

    redactor.text(request("Hello"))
    looked.clear()
    redactor.text(request("Hello", "Hello again"))
    assert max(looked) < 2 * len(FILLER)
