"""A secret is found whatever letter stands before or after it, and in whatever spelling."""

import html
import json
import shlex
import unicodedata
import urllib.parse

import pytest
import yaml

from agy_nb.cassette.redaction import SECRET, Redactor

KEYS = {
    "openai": "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q",
    "google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "github": "ghp_" + "a1B2c3D4" * 5,
    "aws": "AKIA" + "IOSFODNN7EXAMPLQ",
    "slack": "xoxb-" + "123456789012-" * 2 + "AbCdEfGhIjKlMnOpQrSt",
}
BEFORE = [
    "我的密钥是", "キーは", "키는", "clé", "ключ", "x_",
    "first\n", r"first\n", r"a\t", '\\"', r"\u0022", "🔑", "。",
    "1", "#12", r"\033", "2026-11-27",
]  # fmt: skip
AFTER = ["", "。", "是", " é", r"\n", r"\"}"]


@pytest.fixture(scope="module")
def redactor():
    return Redactor(environ={}, places={})


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("before", BEFORE)
def test_key_needs_no_space_before_or_after_it(redactor, name, before):
    for after in AFTER:
        text = f"{before}{KEYS[name]}{after}"
        assert redactor.text(text) == f"{before}{SECRET}{after}"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("我的api_key=Xk29dkq81mz0Q", f"我的api_key={SECRET}"),
        ("password\uff1ahunter2-x9", f"password\uff1a{SECRET}"),
        ("见Bearer abc123DEF456ghi789JKL", f"见Bearer {SECRET}"),
        ("はcookie: sid=abc123DEF456ghi789JKL", f"はcookie: sid={SECRET}"),
    ],
)
def test_name_of_a_secret_needs_no_space_before_it(redactor, text, clean):
    assert redactor.text(text) == clean


VALUES = ['a"b\\c=é+ü/7Q&x y', "p@ss'w\"örd\n12", "línea-Ωmega-9981", "pa ss'wort-991"]
SPELLINGS = {
    "plain": str,
    "json": json.dumps,
    "json_unicode": lambda v: json.dumps(v, ensure_ascii=False),
    "json_in_json": lambda v: json.dumps(json.dumps(v)),
    "json_slashes": lambda v: json.dumps(v).replace("/", "\\/"),
    "json_in_a_log": lambda v: f"2026-01-01 INFO got {json.dumps({'key': v})} from cache",
    "json_cut_at_the_end": lambda v: json.dumps({"a": v, "b": 1})[:-5],
    "json_cut_at_the_start": lambda v: json.dumps({"a": v, "b": 1})[2:],
    "repr": repr,
    "ascii": ascii,
    "repr_of_a_dict": lambda v: repr({"a": v}),
    "repr_of_bytes": lambda v: repr(v.encode()),
    "repr_in_json": lambda v: json.dumps(repr(v)),
    "quote": urllib.parse.quote,
    "quote_all": lambda v: urllib.parse.quote(v, safe=""),
    "quote_plus": urllib.parse.quote_plus,
    "quote_twice": lambda v: urllib.parse.quote(urllib.parse.quote(v)),
    "nfc": lambda v: unicodedata.normalize("NFC", v),
    "nfd": lambda v: unicodedata.normalize("NFD", v),
    "nfd_in_json": lambda v: json.dumps(unicodedata.normalize("NFD", v)),
    "nfd_quoted": lambda v: urllib.parse.quote(unicodedata.normalize("NFD", v)),
    "mojibake": lambda v: v.encode().decode("latin-1"),
    "html": html.escape,
    "shell": shlex.quote,
    "sql": lambda v: "'" + v.replace("'", "''") + "'",
    "csv": lambda v: '"' + v.replace('"', '""') + '"',
    "yaml": yaml.safe_dump,
    "after_a_letter": lambda v: f"是{v}é",
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_value_of_the_environment_is_found_in_every_spelling(value, spelling):
    redactor = Redactor(environ={"SERVICE_API_KEY": value}, places={})
    text = SPELLINGS[spelling](value)
    clean = redactor.text(text)
    assert SECRET in clean
    assert len(clean) <= len(text) - len(value) + len(SECRET)
