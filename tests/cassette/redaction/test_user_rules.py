"""The user's rules apply in every file of a cassette, and redacting twice changes nothing."""

import json
import re
import shutil
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, strategies as st

from agy_nb.cassette.redaction import HOME, MARK, SECRET, TEMP, Redactor
from agy_nb.cassette.redaction.http.exchanges import cleaned
from agy_nb.cassette.redaction.open_json import opened
from agy_nb.cassette.redaction.user_rules import RULE
from agy_nb.cli import main
from agy_nb.errors import InvalidInputError
from tests.growth.growth import check_growth

SHIPPED = Path(__file__).parents[3] / "cassettes"


def redactor(*rules, **environ):
    return Redactor(rules, environ=environ, places={HOME: "/home/ada", TEMP: "/tmp"})


def frame(city):
    arguments = json.dumps({"city": city, "deep": json.dumps({"city": [city]})})
    return {"toolCall": {"name": "weather", "argumentsJson": arguments}, "text": "Paris"}


@pytest.mark.parametrize(
    "path", ["$..city", "$.toolCall.argumentsJson.city", "$.toolCall.argumentsJson.deep.city[*]"]
)
def test_json_path_enters_json_inside_strings(path):
    clean = redactor(path).frame(frame("Paris"))
    arguments = json.loads(clean["toolCall"]["argumentsJson"])
    deep = json.loads(arguments["deep"])
    assert clean["text"] == "Paris"
    assert (arguments["city"] == RULE) == (path != "$.toolCall.argumentsJson.deep.city[*]")
    assert (deep["city"] in (RULE, [RULE])) == (path != "$.toolCall.argumentsJson.city")


CITY = '{"city": "Paris", "n": 1}'
WRAPPED = [
    f"<USER_REQUEST>\n{CITY}\n</USER_REQUEST>\n<ADDITIONAL_METADATA>\nnow\n</ADDITIONAL_METADATA>",
    f"Tool response for t:\n```json\n{CITY}\n```",
    f"Tool response for t:\n```json\n{json.dumps({'result': CITY})}\n```",
    f"{CITY}\n{CITY}\n",
    f"data: {CITY}\n\ndata: {CITY}\n\ndata: [DONE]\n",
    f"[Message] priority=HIGH content={CITY}",
    f"see [1] and {{x}}: {CITY}, [{CITY}]",
    json.dumps({"text": f"a\n```json\n{CITY}\n```\nb"}),
    json.dumps(json.loads(CITY), indent=2),
    f"log: {json.dumps({'a': ['x' * n for n in range(200)], 'city': 'Paris', 'n': 1})} end",
]


@pytest.mark.parametrize("text", WRAPPED)
@pytest.mark.parametrize("rule", ["$..city", "function"])
def test_rule_enters_json_among_other_words(text, rule):
    rules = [without_city if rule == "function" else rule]
    if rule == "$..city":
        clean = redactor(*rules).frame({"a": {"text": text}})
        assert "Paris" not in json.dumps(clean)
        assert redactor(*rules).frame(clean) == clean
    elif "result" in text or '"text"' in text or "[{" in text:
        return  # functions get objects, and no lists or strings
    clean = redactor(*rules).text(text)
    assert "Paris" not in clean
    assert redactor(*rules).text(clean) == clean
    assert clean.count("1") == text.count("1")


@pytest.mark.parametrize(
    "path", ["$..city", "$.call.arguments.city", "$.call.arguments.fields[0].value.stringValue"]
)
def test_rule_enters_the_arguments_that_protobuf_writes(path):
    def frame(city):
        inner = {"fields": [{"name": "city", "value": {"stringValue": city}}]}
        values = [{"structValue": inner}, {"stringValue": f"a {CITY}"}, {"numberValue": 1}]
        fields = [
            {"name": "city", "value": {"stringValue": city}},
            {"name": "all", "value": {"listValue": {"values": values}}},
            {"name": "none", "value": {"nullValue": None}},
        ]
        return {"call": {"arguments": {"fields": fields}}}

    clean = redactor(path).frame(frame("Paris"))
    if path == "$..city":
        assert clean == json.loads(json.dumps(frame(RULE)).replace("Paris", RULE))
    else:
        assert clean["call"]["arguments"]["fields"][0]["value"] == {"stringValue": RULE}
        assert json.dumps(clean).count("Paris") == 2
    assert redactor(path).frame(clean) == clean


def test_text_full_of_brackets_takes_linear_time():
    for piece in ("[", "[1,\n", '{"a": ', '[{"a": 1},\n', "{}", "[x"):
        check_growth(
            lambda size, piece=piece: (piece * (size // len(piece) + 1))[:size],
            opened,
        )


def exchange():
    asked = {"contents": [{"parts": [{"functionResponse": {"response": {"city": "Paris"}}}]}]}
    events = [
        {"candidates": [{"content": {"parts": [{"functionCall": {"args": {"city": "Paris"}}}]}}]},
        *({"choices": [{"delta": {"arguments": a}}]} for a in ('{"ci', 'ty": "Pa', 'ris"}')),
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return {
        "request": {"method": "POST", "uri": "http://x/", "body": json.dumps(asked), "headers": {}},
        "response": {
            "status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": body},
            "x_agy_chunks": [[len(body), 0.1]],
        },
    }  # fmt: skip


def without_city(data):
    """A function of the user: it may change what it gets."""
    for key in [key for key in data if key == "city"]:
        data[key] = "somewhere"
    for item in data.values():
        for each in item if isinstance(item, list) else [item]:
            if isinstance(each, dict):
                without_city(each)
    return data


@pytest.mark.parametrize("rule", ["$..city", re.compile("Paris"), without_city])
def test_rule_applies_to_exchanges_with_the_model(rule):
    text = yaml.safe_dump(cleaned(exchange(), redactor(rule)))
    if rule is without_city:  # it does not join the pieces of a stream
        text = text.replace("Pa", "", 1)
    assert "Paris" not in text
    rest = redactor(rule)
    again = cleaned(cleaned(exchange(), rest), redactor(rule))
    assert again == cleaned(exchange(), redactor(rule))


def test_rules_that_match_nothing_are_known():
    rules = redactor("$..city", "$..citi", re.compile("Rome"), re.compile("Pa"), without_city)
    rules.frame(frame("Paris"))
    rules.text("Paris")
    assert rules.rules.unmatched() == ["Rome", "$..citi", "without_city"]


def test_function_must_return_an_object():
    with pytest.raises(InvalidInputError, match=r"rule print must return an object, got None"):
        redactor(print).frame({"a": 1})


def test_expression_matches_numbers_too():
    clean = redactor(re.compile(r"\b\d{9}\b")).frame({"id": 123456789, "n": 5})
    assert clean == {"id": RULE, "n": 5}


@pytest.mark.parametrize("pattern", ["agy", r"\w+", "secret", "[a-z:]+", "}.", r"\{\{.", ".+", "$"])
def test_expression_does_not_match_inside_marks(pattern):
    text = f"{SECRET} {{{{agy:tmp}}}}"
    clean = redactor(re.compile(pattern)).text(text)
    assert clean in (text, RULE)


def test_keys_that_redact_alike_stay_apart():
    keys = ["sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q" + end for end in "xyz"]
    clean = redactor().frame({"m": dict.fromkeys(keys, 1)})
    assert clean == {"m": {SECRET: 1, "{{agy:secret-2}}": 1, "{{agy:secret-3}}": 1}}
    assert redactor().frame(clean) == clean
    assert all(MARK.fullmatch(key) for key in clean["m"])


# --- redacting twice ----------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *("password", "=", ": ", '"', "'", "{", "}", "[", "]", ",", "\\n", "\n", " ", "/home/ada"),
        *("token", "Bearer ", "sk-proj-Ab3dEf6hIj9kLm2nOp5q", "ghp_" + "a1B2c3D4" * 5, "/tmp"),
        *(
            SECRET,
            RULE,
            HOME,
            "{{agy:",
            "{{agy:^secret}}",
            "}}",
            "hunter2-x9",
            "&",
            "%20",
            "://u:",
            "@host",
            "key",
        ),
        *("-p ", "Xk29dkq81mz0Q", "AKIAIOSFODNN7EXAMPLQ", "file://", "\\", "é", "是", "Cookie: "),
        *("c2stcHJvai1BYjNkRWY2aElqOWtMbTJuT3A1cQ==", "value-of-the-environment", "sid=", ";"),
        *("<", ">", "secret", "agy", "-----BEGIN ", "PRIVATE KEY-----", "api_key", "|", "data: "),
        "eyJhbGciOi.eyJzdWIiOi",
    ]
)
TEXTS = st.lists(PIECES | st.text(string.printable, max_size=6), max_size=12).map("".join)
JSON = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS, inner, max_size=3)
        | inner.map(json.dumps)
    ),
    max_leaves=6,
)
PATTERNS = [re.compile(r"\w+-\d"), re.compile("agy|ecre"), re.compile(r"[a-z]{5}")]
RULES = st.lists(st.sampled_from([*PATTERNS, "$..key", "$..*.token"]), max_size=2)
ENVIRON = {"SERVICE_API_KEY": "value-of-the-environment"}


@given(TEXTS, RULES)
def test_redacted_text_stays_as_it_is(text, rules):
    once = redactor(*rules, **ENVIRON).text(text)
    assert redactor(*rules, **ENVIRON).text(once) == once


@given(st.dictionaries(TEXTS, JSON, max_size=3), RULES)
def test_redacted_frame_stays_as_it_is(data, rules):
    once = redactor(*rules, **ENVIRON).frame(data)
    assert redactor(*rules, **ENVIRON).frame(once) == once
    assert "value-of-the-environment" not in json.dumps(once)


# --- in a cassette ------------------------------------------------------------------------------


def test_redact_reaches_every_file_and_reports_rules_that_match_nothing(tmp_path, capsys):
    path = tmp_path / "c"
    shutil.copytree(SHIPPED / "host_tools", path)
    asked = {"body": '{"city": "Paris"}', "headers": {}, "method": "POST", "uri": "http://x/"}
    answer = {"body": {"string": '{"city": "Paris"}'}, "headers": {}, "status": {"code": 200}}
    text = yaml.safe_dump({"interactions": [{"request": asked, "response": answer}], "version": 1})
    (path / "tools.yaml").write_text(text)
    rules = ["--jsonpath", "$..city", "--jsonpath", "$..citi", "--regex", "Rome"]
    assert main(["cassette", "redact", str(path), *rules]) == 0
    said = capsys.readouterr()
    assert "$..citi' matched nothing" in said.err
    assert said.err.count("matched nothing") == 1
    for file in ("wire.jsonl", "model.yaml", "tools.yaml"):
        content = (path / file).read_text(encoding="utf-8")
        assert "Rome" not in content
        assert not re.search(r'city[\\"]*: ?[\\"]*Paris', content)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.name != "header.json"}
    assert main(["cassette", "redact", str(path), *rules]) == 0
    after = {file.name: file.read_bytes() for file in path.iterdir() if file.name != "header.json"}
    assert after == before
