"""Random frames, headers, YAML and options; and redact, replay, redact, each time the same.

`make soak` tries thirty times as many examples.
"""

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from agy_nb.cassette.cassette_options import CassetteOptions
from agy_nb.cassette.inspect.transcript import transcript
from agy_nb.cassette.inspect.verify import problems
from agy_nb.cassette.redaction import SECRET, TEMP, Redactor
from agy_nb.cassette.redaction.http.http_headers import clean_headers, clean_request_headers
from agy_nb.cassette.redaction.leaks import find_leaks, redact
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import MODEL, TOOLS, WIRE
from agy_nb.cassette.storage.writer import CassetteWriter, new_header
from agy_nb.cassette.use import use_cassette
from agy_nb.errors import AgyError
from agy_nb.wire.client_config import paths_of
from agy_nb.wire.summaries.canonical_config import config_digest
from agy_nb.wire.summaries.digest import SessionDigest
from tests.cassette.conftest import Frames
from tests.cassette.hostile import FRAMES, WRONG

VALUE = "value-of-the-environment"
ENVIRON = {"SERVICE_API_KEY": VALUE}
KEY = "sk-proj-Ab3dEf6hIj9kLm2nOp5q"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


# --- redact, replay, redact ---------------------------------------------------------------------

FOLDERS = st.sampled_from(
    [
        "/work/then",
        "/work/a b",
        '/work/ä"b',
        "/tmp/x at",
        "/app",
        "/work/100%",
        "/w/目录",
        "/w/it's",
    ]
)


def dump(data):
    return json.dumps(data, ensure_ascii=False)


FORMS = st.sampled_from(
    [
        lambda folder: folder,
        lambda folder: f"see {folder}/notes.txt, not /work/thenx",
        lambda folder: f"file://{quote(folder, safe='/$&+,:;=@')}/notes.txt",
        lambda folder: f"open?path={quote(folder, safe='')}&x=1",
        lambda folder: dump({"path": f"{folder}/x", "deep": dump([folder])}),
        lambda folder: f"got {dump({'path': folder})} there",
        lambda folder: f"first\n{folder}\nlast",
        lambda folder: "/apple /application/v1 https://app/x",
        lambda folder: f"the key {KEY} and {VALUE}",
        lambda folder: f'{{"api_key": "{KEY}", "n": 1}}',
        lambda folder: f"password={VALUE}",
    ]
)
PROSE = st.text(string.ascii_letters + " .,é是\n\t", max_size=12)
LINES = st.lists(FORMS | PROSE.map(lambda text: lambda folder: text), min_size=1, max_size=3)
TURNS = st.lists(st.tuples(LINES, LINES, LINES, LINES), min_size=1, max_size=2)


def session(turns, folder):
    """The frames of a session in a folder."""

    def said(lines):
        return "\n".join(line(folder) for line in lines)

    workspace = {"filesystemWorkspace": {"directory": folder}}
    yield "client", Frames.config(workspaces=[workspace])
    yield "harness", Frames.ready()
    for number, (prompt, answer, arguments, result) in enumerate(turns):
        yield "client", Frames.prompt(said(prompt))
        yield "harness", Frames.step(said(answer), index=number)
        yield "harness", Frames.call(str(number), text=said(arguments))
        yield "client", Frames.result(str(number), said(result))
        yield "harness", Frames.idle()


def files_of(path):
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != "header.json"}


@given(turns=TURNS, there=FOLDERS, here=FOLDERS)
@pytest.mark.slow
def test_redact_replay_redact(room, turns, there, here):
    places = {TEMP: "/tmp"}
    redactor = Redactor(environ=ENVIRON, places=places)
    writer = CassetteWriter(room / "c", new_header(), redact=redactor.line)
    for direction, frame in session(turns, there):
        writer.put(0, direction, 0.0, frame)
    writer.put(0, "end", 0.0, {"by": "client"})
    path = writer.finish() and room / "c"
    wire = (path / WIRE).read_text(encoding="utf-8")
    assert KEY not in wire
    assert VALUE not in wire
    for _ in range(2):
        redact(path, [])
        assert list(find_leaks(path)) == []
        again = files_of(path)
        redact(path, [])
        assert files_of(path) == again
        play = PlaySettings(redactor=Redactor(environ=ENVIRON, places=places), places=places)
        matcher = SessionMatcher(load(path), play)
        heard = []
        machine = None
        for direction, frame in session(turns, here):
            if machine is None:
                machine = matcher.acquire(frame)
            elif direction == "client":
                machine.receive(frame)
            while (released := machine.release()) is not None:
                heard.append(json.loads(released.message))
        assert matcher.errors(allow_unplayed=False) == []
        said = [frame for direction, frame in session(turns, here) if direction == "harness"]
        clean = Redactor(environ=ENVIRON, places={})
        assert [meaning(frame) for frame in heard] == [meaning(clean.frame(f)) for f in said]


def meaning(value):
    """Data with the JSON in its strings opened."""
    if isinstance(value, dict):
        return {key: meaning(item) for key, item in value.items()}
    if isinstance(value, list):
        return [meaning(item) for item in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return meaning(json.loads(value))
        except ValueError:
            return value
    return value


# --- frames, headers, YAML, options -------------------------------------------------------------


def error_of(call):
    """The package's own error of a call, None if it succeeds; any other error fails the test."""
    try:
        call()
    except AgyError as error:
        return error


ODD = st.sampled_from(list(WRONG.values()))
FIELDS = st.sampled_from(sorted({name for _, body in FRAMES.values() for name in body}))
BODIES = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=4)
)


@given(st.sampled_from(sorted(FRAMES)), BODIES)
def test_any_frame_can_be_read(kind, body):
    frame = {kind: body}
    digest = SessionDigest()
    digest.client(frame)
    digest.harness(frame)
    digest.result()
    config_digest(frame)
    paths_of(frame)
    once = Redactor(environ=ENVIRON, places={}).frame(frame)
    assert Redactor(environ=ENVIRON, places={}).frame(once) == once


HEADERS = [
    "Authorization",
    "Cookie",
    "Set-Cookie",
    "Location",
    "Link",
    "X-Api-Key",
    "ETag",
    "x-odd",
    "Date",
]
NAMES = st.sampled_from(HEADERS) | st.text(string.ascii_letters + "-", min_size=1, max_size=10)
WORDS = [KEY, VALUE, "Bearer ", "sid=", "; ", "=", "<", ">", "http://u:p@h/?key=", '"', "é", SECRET]
VALUES = st.lists(st.sampled_from(WORDS) | st.text(string.printable, max_size=5), max_size=5).map(
    "".join
)


@given(st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=2), max_size=4))
def test_headers_keep_their_names_and_lose_their_secrets(headers):
    text = Redactor(environ=ENVIRON, places={}).text
    for clean in (clean_headers, clean_request_headers):
        once = clean(headers, text)
        assert list(once) == list(headers)
        assert VALUE not in str(once)
        assert clean(once, text) == once


YAML = (
    b"interactions:\n- request: {method: POST, uri: 'http://x/', body: '{}', headers: {}}\n"
    b"  response: {status: {code: 200, message: OK}, headers: {}, body: {string: '{}'}}\n"
    b"version: 1\n"
)
PIECES = [
    *(
        b"",
        b"\n",
        b"  ",
        b"- ",
        b": ",
        b"&a ",
        b"*a",
        b"!!python/name:os.system ",
        b"{",
        b"[",
        b"1",
    ),
    *(b"null", b"'", b'"', b"\x00", b"\xff", b"interactions", b"request", b"|"),
]


@given(
    at=st.integers(0, len(YAML)),
    cut=st.integers(0, 12),
    file=st.sampled_from([MODEL, TOOLS]),
    pieces=st.lists(st.sampled_from(PIECES), max_size=4),
)
def test_damaged_yaml_is_an_error_of_ours(room, at, cut, file, pieces):
    path = room / "y"
    if not path.exists():
        writer = CassetteWriter(path, new_header())
        for direction, frame in session([], "/work"):
            writer.put(0, direction, 0.0, frame)
        writer.finish()
    for other in {MODEL, TOOLS} - {file}:
        (path / other).unlink(missing_ok=True)
    (path / file).write_bytes(YAML[:at] + b"".join(pieces) + YAML[at + cut :])
    list(map(str, problems(path)))
    for read in (lambda: list(transcript(path)), lambda: redact(path, [])):
        error = error_of(read)
        assert error is None or str(path) in str(error)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        name: ODD | st.text(max_size=5) | st.lists(st.text(max_size=5) | ODD, max_size=2)
        for name in CassetteOptions.__dataclass_fields__
        if name != "path"
    },
)


@given(OPTIONS)
def test_option_of_any_type_is_taken_or_refused(room, options):
    error = error_of(lambda: use_cassette(room / "o", **options))
    assert error is None or any(name in str(error) for name in (*options, "JSON path"))
