"""No secret reaches the disk, wherever in a session it stands."""

import base64
import json
import re
import urllib.parse

import pytest
from hypothesis import example, given, strategies as st

from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.jsonpath import JsonPath
from agy_nb.cassette.redaction import HOME, MARK, SECRET, TEMP, Redactor
from agy_nb.cassette.redaction.rules.field_names import is_secret_name
from agy_nb.cassette.storage.format import WireRecord, encode_line
from agy_nb.errors import InvalidInputError

PLACES = {HOME: "/home/ada", TEMP: "/tmp"}


def redactor(*rules, **environ):
    return Redactor(rules, environ=environ, places=PLACES)


def on_disk(frame, **environ):
    return encode_line(redactor(**environ).line(WireRecord(0, "client", 0.0, frame))).decode()


LETTERS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=36, max_size=48
)
KINDS = {
    "google": LETTERS.map(lambda text: f"AIza{text[:35]}"),
    "oauth": LETTERS.map(lambda text: f"ya29.{text}"),
    "github": LETTERS.map(lambda text: f"ghp_{text[:36]}"),
    "openai": LETTERS.map(lambda text: f"sk-{text}"),
    "aws": LETTERS.map(lambda text: f"AKIA{text[:16].upper()}"),
    "slack": LETTERS.map(lambda text: f"xoxb-{text}"),
    "jwt": LETTERS.map(lambda text: f"eyJ{text[:12]}.eyJ{text[12:24]}.{text[24:]}"),
    "pem": LETTERS.map(
        lambda text: f"-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----"
    ),
}
PLANTED = st.one_of(*KINDS.values())
PLACES_IN_TEXT = [
    "{}",
    "I found {} in the file",
    "https://example.org/a?key={}&x=1",
    "https://ada:{}@example.org/",
    "Authorization: Bearer {}",
    "curl -H 'X-Goog-Api-Key: {}'",
    '{{"nested": {{"apiKey": "{}"}}}}',
    '{{"result": "the key is {}"}}',
    "GEMINI_API_KEY={}\nPATH=/bin",
    "```\ntoken = '{}'\n```",
]


def plant(secret, where, wrap):
    text = wrap.format(secret.replace("\n", "\\n") if wrap.startswith("{{") else secret)
    return {
        "prompt": lambda: {"userInput": {"parts": [{"text": text}]}},
        "result": lambda: {
            "toolResponse": {"id": "1", "responseJson": json.dumps({"result": text})}
        },
        "error": lambda: {"toolResponse": {"id": "1", "errorMessage": text}},
        "args": lambda: {"toolCall": {"argumentsJson": json.dumps({"deep": [[{"x": text}]]})}},
        "step": lambda: {
            "stepUpdate": {"text": text, "thinking": text, "customTool": {"a": [text]}}
        },
        "key": lambda: {"config": {"models": [{"geminiApiEndpoint": {"apiKey": secret}}]}},
        "header": lambda: {"config": {"models": [{"x": {"httpHeaders": {"X-Odd": text}}}]}},
        "env": lambda: {"config": {"mcpServers": [{"stdio": {"env": {"ANY": text}}}]}},
        "args list": lambda: {"config": {"mcpServers": [{"stdio": {"args": ["--token", secret]}}]}},
        "name of a field": lambda: {"toolCall": {"arguments": {text: 1}}},
        "raw": lambda: {"$text": text},
    }[where]()


WHERE = [
    "prompt", "result", "error", "args", "step", "key", "header", "env", "args list",
    "name of a field", "raw",
]  # fmt: skip


@given(PLANTED, st.sampled_from(WHERE), st.sampled_from(PLACES_IN_TEXT))
def test_planted_secret_is_not_on_disk(secret, where, wrap):
    written = on_disk(plant(secret, where, wrap))
    for part in secret.split("\n")[-2:-1] or [secret]:
        assert part not in written


ANY_VALUE = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40
).filter(lambda text: not text.isalpha() and "agy" not in text and "{" not in text)


@given(
    ANY_VALUE, st.sampled_from(WHERE), st.sampled_from(["{}", "see {} there", "https://x/?q={}"])
)
@example('quo"te\\back1', "result", "{}")
def test_value_of_a_secret_variable_is_not_on_disk(value, where, wrap):
    written = on_disk(plant(value, where, wrap.replace("{}", "{0}")), MY_API_KEY=value)
    decoded = json.dumps(json.loads(written), ensure_ascii=False)
    for form in (value, urllib.parse.quote(value, safe=""), json.dumps(value)[1:-1]):
        assert form not in decoded


def test_value_is_found_in_other_spellings():
    value = "s3cr3t/with+odd=chars"
    encoded = base64.b64encode(value.encode()).decode()
    text = f"{urllib.parse.quote(value, safe='')} {encoded}"
    assert redactor(DB_PASSWORD=value).text(text).count(SECRET) == 2


def test_key_of_the_configuration_is_taken_out_of_what_follows():
    one = redactor()
    one.frame({"config": {"models": [{"geminiApiEndpoint": {"apiKey": "loop-key-1"}}]}})
    assert "loop-key-1" not in json.dumps(one.frame({"stepUpdate": {"text": "key loop-key-1!"}}))


def test_key_is_taken_out_of_its_own_frame_too():
    frame = {"config": {"systemInstructions": "use loop-key-1", "apiKey": "loop-key-1"}}
    assert "loop-key-1" not in on_disk(frame)


@pytest.mark.parametrize(
    "name",
    [
        "apiKey", "api_key", "X-Goog-Api-Key", "Authorization", "cookie", "Set-Cookie", "password",
        "clientSecret", "access_token", "refreshToken", "GEMINI_API_KEY", "AWS_SECRET_ACCESS_KEY",
        "private_key", "credentials", "GOOGLE_APPLICATION_CREDENTIALS", "sessionKey", "jwt",
    ],
)  # fmt: skip
def test_secret_names_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "promptTokenCount", "maxTokens", "totalTokenCount", "tokens", "text", "name", "keyboard",
        "author", "monkey", "thoughtSignature", "requestId", "cascadeId", "trajectoryId",
        "stepIndex", "thinking", "responseJson", "", "_",
    ],
)  # fmt: skip
def test_harmless_names_are_left_alone(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "The secret: practise every day.",
        "A token of my love",
        "Set the key to C major; the password is asked for.",
        "3 tokens used, maxTokens: 5",
        "def f(token): return key",
        "see https://example.org/a?page=2&q=key",
        '{"usage": {"totalTokenCount": "105"}, "pretty":   true}',
    ],
)
def test_prose_is_left_alone(text):
    assert redactor().text(text) == text


def test_redacting_twice_changes_nothing():
    frame = plant("AIza" + "x" * 35, "result", PLACES_IN_TEXT[7])
    once = redactor().frame(frame)
    assert redactor().frame(once) == once


def test_frame_given_is_not_changed():
    frame = {"config": {"apiKey": "abc-123-def", "x": [{"password": "p"}]}}
    before = json.dumps(frame)
    redactor().frame(frame)
    assert json.dumps(frame) == before


def test_folders_become_places():
    text = "/home/ada/x, file:///tmp/a.txt, /home/adalbert, /tmpfile, x/home/ada"
    clean = redactor().text(text)
    assert clean == f"{HOME}/x, file://{TEMP}/a.txt, /home/adalbert, /tmpfile, x/home/ada"


def test_own_rules_take_effect():
    rules = [
        re.compile(r"\bproject-\d+"),
        "$..note",
        "config.models[*].name",
        lambda frame: frame | {"added": "by rule"},
    ]
    frame = {"config": {"models": [{"name": "m", "note": 1}], "text": "in project-77"}}
    cleaned = redactor(*rules).frame(frame)
    assert cleaned["added"] == "by rule"
    assert cleaned["config"] == {
        "models": [{"name": "{{agy:rule}}", "note": "{{agy:rule}}"}],
        "text": "in {{agy:rule}}",
    }


@pytest.mark.parametrize(
    "path", ["", "$", "$.", "a[", "$..", "a..[", "a b", "`this`", "`parent`", "a.`parent`", "$.a|$"]
)
def test_bad_path_is_refused(path):
    with pytest.raises(InvalidInputError):
        JsonPath.parse(path)


@pytest.mark.parametrize(
    "value", [{"a": {"x": 1}}, {"a": "text"}, {"a": 5}, {"a": None}, {"a": []}, {}, {"b": [[{}]]}]
)
@pytest.mark.parametrize("path", ["a[0]", "a[0].b", "a[*].b", "$..b.c", "a.y.z", "$..[3]"])
def test_path_that_names_nothing_in_a_frame_changes_nothing(path, value):
    assert JsonPath.parse(path).replace(value, "x") == (value, 0)


def test_path_replaces_what_holds_nothing():
    assert JsonPath.parse("$..a").replace({"a": None, "b": [{"a": False}]}, "x")[0] == {
        "a": "x",
        "b": [{"a": "x"}],
    }


def test_path_does_not_change_the_frame_that_it_is_given():
    frame = {"a": [{"b": 1}]}
    assert JsonPath.parse("a[*].b").replace(frame, "x") == ({"a": [{"b": "x"}]}, 1)
    assert frame == {"a": [{"b": 1}]}


def test_rule_that_is_none_is_refused():
    with pytest.raises(InvalidInputError, match="redact must be a list of"):
        redactor(42)


def test_redactions_are_counted():
    one = redactor()
    one.frame({"config": {"apiKey": "k-1234567"}, "text": "/home/ada"})
    assert one.counts["secret"] >= 1
    assert one.counts["home"] >= 1


def test_deep_nesting_is_no_way_around():
    value = "AIza" + "x" * 35
    for _ in range(200):
        value = [value]
    assert "AIza" not in on_disk({"x": value})


@given(st.text(max_size=2000))
def test_any_text_is_taken_quickly(text):
    redactor().text(text)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a" * 100_000, "key=" * 20_000, "://" * 30_000, "-" * 100_000,
    "Authorization:" * 5_000, "token" * 20_000, "\\" * 50_000, "A_" * 50_000])  # fmt: skip
def test_hostile_text_takes_linear_time(text):
    import time

    start = time.thread_time()
    redactor().text(text)
    assert time.thread_time() - start < 2


def test_mark_stands_for_any_text_when_compared():
    recorded = {"text": f"key {SECRET} end", "n": SECRET}
    compare = Comparer()
    assert compare.first(recorded, {"text": "key whatever end", "n": 5}) is None
    assert compare.first(recorded, {"text": "key whatever", "n": 5}) is not None
    assert MARK.fullmatch(SECRET)


@pytest.mark.parametrize("words", ["in a list", "correct horse battery", "abcDEF123"])
def test_secret_of_a_protobuf_struct_is_taken_out(words):
    fields = [{"name": "password", "value": {"stringValue": words}}]
    found = Redactor().frame({"arguments": {"fields": fields}})
    assert words not in json.dumps(found)
