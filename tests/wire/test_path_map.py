"""Paths are found in every spelling, as wholes, and written in the spelling that was found."""

import json
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from agy_nb.wire.path_map import PathMap

APP = PathMap({"/app": "{{agy:w}}"})
ODD = PathMap({"/srv/a b": "{{agy:w}}", '/x/ä"b': "{{agy:q}}", "C:\\Users\\ada": "{{agy:home}}"})
HERE = PathMap(
    {"{{agy:w}}/then x": '/tmp/ä"b', "{{agy:w}}": "/tmp", "{{agy:home}}": "C:\\Users\\x"}
)


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("/app", "{{agy:w}}"),
        ("see /app/x.", "see {{agy:w}}/x."),
        ("/app. Then", "{{agy:w}}. Then"),
        ("\n/app/x", "\n{{agy:w}}/x"),
        (r"first\n/app/x", r"first\n{{agy:w}}/x"),
        ("请看/app/x中", "请看{{agy:w}}/x中"),
        ("file:///app/x", "file://{{agy:w}}/x"),
        ("file://localhost/app", "file://localhost{{agy:w}}"),
        ("sqlite:////app/x.db", "sqlite:///{{agy:w}}/x.db"),
        ("-v /app:/app", "-v {{agy:w}}:{{agy:w}}"),
        ("cc -I/app/include", "cc -I{{agy:w}}/include"),
        ("-I/app/include", "-I{{agy:w}}/include"),
        (r"cc,-L/app\n-L/app", r"cc,-L{{agy:w}}\n-L{{agy:w}}"),
        ("cc -isystem/app", "cc -isystem{{agy:w}}"),
        (r'log {"p":"\/app\/x"}', r'log {"p":"{{agy:w-slash}}\/x"}'),
        (r'"{\"p\":\"\\/app\\/x\"', r'"{\"p\":\"{{agy:w-slash-json}}\\/x\"'),
        (r"file:\/\/\/app\/x", r"file:\/\/{{agy:w-slash}}\/x"),
        ("\x1b[34m/app\x1b[0m", "\x1b[34m{{agy:w}}\x1b[0m"),
        ("p=%22%2Fapp%2Fx%22", "p=%22{{agy:w-query}}%2Fx%22"),
    ],
)
def test_path_is_found_wherever_it_is_one(text, replaced):
    assert APP.text(text) == replaced


@pytest.mark.parametrize(
    "text",
    [
        "/apple", "/application/v1", "/app.py", "/app-2", "/app~", "/app%20two", "./app", "~/app",
        "src/app", "é/app", "https://app/x", "**/app", "${ROOT}/app", "$(pwd)/app", "<app></app>",
        "{{agy:tmp}}/app", "x%2Fapp", "%2Fapple", "x-I/app", "--I/app", r"\/apple", r"x\/app",
    ],
)  # fmt: skip
def test_other_path_is_left_alone(text):
    assert APP.text(text) == text


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("file:///srv/a%20b/n.txt", "file://{{agy:w}}/n.txt"),
        ("p=%2Fsrv%2Fa%20b%2Fn", "p={{agy:w-query}}%2Fn"),
        ("p=%2fsrv%2fa+b&q", "p={{agy:w-query}}&q"),
        ("/srv/a b-2, /srv/a bc", "/srv/a b-2, /srv/a bc"),
        ('/x/ä"b/c', "{{agy:q}}/c"),
        (unicodedata.normalize("NFD", '/x/ä"b/c'), "{{agy:q}}/c"),
        (r'["/x/\u00e4\"b', '["{{agy:q-json}}'),
        (r'["/x/ä\\\"b', '["{{agy:q-json-json}}'),
        ("file:///x/%C3%A4%22b/c", "file://{{agy:q}}/c"),
        ("c:\\Users\\ada\\x", "{{agy:home}}\\x"),
        ("C:/Users/ada/x", "{{agy:home}}/x"),
        (r'cut {"p": "C:\\Users\\ada\\', r'cut {"p": "{{agy:home-json}}\\'),
        ("file:///C:/Users/ada/x", "file://{{agy:home}}/x"),
        ("vscode file:///c%3A/Users/ada/x", "vscode file://{{agy:home}}/x"),
    ],
)  # fmt: skip
def test_every_spelling_is_found(text, replaced):
    assert ODD.text(text) == replaced


@pytest.mark.parametrize(
    ("recorded", "here"),
    [
        ("{{agy:w}}/then x/y", '/tmp/ä"b/y'),
        ("{{agy:w}}/then xy", "/tmp/then xy"),
        ("file://{{agy:w}}/then%20x/y", "file:///tmp/%C3%A4%22b/y"),
        ("{{agy:w-url}}/then%20x", "/tmp/%C3%A4%22b"),
        ("file://{{agy:home}}/y", "file:///C:/Users/x/y"),
        ('got {"p": "{{agy:w}}/then x/y', r'got {"p": "/tmp/ä\"b/y'),
        (r"got {\"p\":\"{{agy:w}}/then x/y", r"got {\"p\":\"/tmp/ä\\\"b/y"),
        ('File "{{agy:home}}/x.py", line 3', 'File "C:\\Users\\x/x.py", line 3'),
        ("{{agy:home-json}}", r"C:\\Users\\x"),
        ("{{agy:home-query}}", "C%3A%5CUsers%5Cx"),
    ],
)
def test_replacement_is_spelled_like_the_text_that_it_replaces(recorded, here):
    assert HERE.text(recorded) == here
    # Within JSON it is escaped, however deep it lies, so that the JSON stays valid.
    frame = {recorded: [json.dumps({"p": json.dumps([recorded])}, separators=(",", ":"))]}
    changed = json.loads(HERE.message(json.dumps(frame)))
    assert json.loads(json.loads(changed[here][0])["p"]) == [here]


def test_style_of_embedded_json_is_kept():
    compact = json.dumps({"p": "/app/x", "n": [1, 2]}, separators=(",", ":"))
    assert APP.value(compact) == compact.replace("/app", "{{agy:w}}")


@pytest.mark.parametrize("path", ["", "/", "//", "C:\\", "work", "./srv", "a/b"])
def test_root_and_relative_path_are_never_replaced(path):
    text = "/ // C:\\ work ./srv a/b"
    assert PathMap({path: "X"}).text(text) == text


LETTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\{}")
NAMES = st.text(LETTERS, min_size=1, max_size=8).filter(lambda name: name.strip(". ") == name)
PATHS = st.lists(NAMES, min_size=2, max_size=4).map(lambda names: "/" + "/".join(names))
FORMS = (
    lambda path: path,
    lambda path: json.dumps({"p": path}, ensure_ascii=False),
    lambda path: json.dumps({"p": json.dumps({"p": path}, ensure_ascii=False)}, ensure_ascii=False),
    lambda path: f"see file://{quote(path, safe='/$&+,:;=@')}/x",
    lambda path: f"q={quote(path, safe='')}&r",
)


@given(PATHS, PATHS, st.sampled_from(FORMS))
def test_path_comes_back_as_the_path_of_another_machine(there, here, form):
    recorded = PathMap({there: "{{agy:w}}"}).value(form(there))
    assert there not in recorded
    assert PathMap({"{{agy:w}}": here}).value(recorded) == form(here)


@pytest.mark.parametrize(
    "text", [r'cut {"p": "\/srv\/a b\/x', r'{"a": ["-I/srv/a b/x', "cc -I/srv/a b/x -L/srv/a b"]
)
def test_path_comes_back_in_its_spelling_with_its_quotes(text):
    stored = PathMap({"/srv/a b": "{{agy:w}}"}).text(text)
    assert "/srv" not in stored.replace("\\", "")
    here = PathMap({"{{agy:w}}": '/x/ä"b'}).text(stored)
    quote = r"\"" if "{" in text else '"'
    slash = r"\/" if r"\/" in text else "/"
    assert here == text.replace(f"{slash}srv{slash}a b", f"{slash}x{slash}ä{quote}b")
