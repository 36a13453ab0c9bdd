"""No secret stays in a body of HTTP, whatever its bytes are."""

import base64
import gzip
import zlib
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from agy_nb.cassette.http.tool_http import ToolHttp
from agy_nb.cassette.redaction import SECRET, Redactor
from agy_nb.cassette.redaction.http.exchanges import cleaned
from tests.support.http_site import served

KEY = "AIza" + "Sy7dR" * 7
PIXELS = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@pytest.fixture
def redactor():
    return Redactor(environ={"DB_PASSWORD": "pässwörd-77"}, places={})


MULTIPART = (
    b'--sep\r\nContent-Disposition: form-data; name="password"\r\n\r\nTr0ub4dor&3\r\n'
    b'--sep\r\nContent-Disposition: form-data; name="note"\r\n\r\nthe key ' + KEY.encode() + b"\r\n"
    b'--sep\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + PIXELS + b"\r\n--sep--\r\n"
)
BODIES = {
    "utf-8": f"<p>ä {KEY}</p>".encode(),
    "latin-1": f"<p>ä {KEY}</p>".encode("latin-1"),
    "utf-16": f"<p>ä {KEY}</p>".encode("utf-16"),
    "one invalid byte": b'{"text": "\xff", "key": "' + KEY.encode() + b'"}',
    "binary": b"\x00\x01\xfe" + KEY.encode() + b"\x00\x02\xfd",
    "multipart": MULTIPART,
    "binary that begins like utf-16": b"\xff\xfe\x00 " + KEY.encode() + b"\n\xff",
    "utf-16 without its mark": f"<p>a {KEY}</p>".encode("utf-16-be"),
    "utf-16 cut within a letter": f"<p>ä {KEY}</p>".encode("utf-16")[:-1],
    "utf-16 with half a letter": f"<p>\ud800 {KEY}</p>".encode("utf-16-le", "surrogatepass"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_body_is_cleaned_and_the_rest_stays(kind, redactor):
    clean = redactor.body(BODIES[kind])
    assert KEY.encode() not in clean
    assert KEY.encode("utf-16-le") not in clean
    assert redactor.body(clean) == clean
    if kind == "latin-1":
        assert clean == f"<p>ä {SECRET}</p>".encode("latin-1")
    if kind == "binary":
        assert clean == b"\x00\x01\xfe" + SECRET.encode() + b"\x00\x02\xfd"


def test_parts_of_a_form_are_cleaned_each_by_itself(redactor):
    clean = redactor.body(MULTIPART)
    assert b"Tr0ub4dor&3" not in clean
    assert PIXELS in clean
    assert clean.count(b"--sep") == MULTIPART.count(b"--sep")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-16"])
def test_known_value_is_found_in_every_encoding(encoding, redactor):
    body = "the pässwörd-77 of ada \u00ff".encode(encoding)
    assert "pässwörd-77".encode(encoding).removeprefix(b"\xff\xfe") not in redactor.body(body)


@pytest.mark.parametrize(
    ("encoding", "pack", "unpack"),
    [("gzip", gzip.compress, gzip.decompress), ("deflate", zlib.compress, zlib.decompress)],
)
def test_compressed_body_is_cleaned_inside(encoding, pack, unpack, redactor):
    clean = redactor.body(pack(b"key " + KEY.encode()), encoding=encoding)
    assert unpack(clean) == b"key " + SECRET.encode()
    harmless = pack(b"nothing here")
    assert redactor.body(harmless, encoding=encoding) == harmless


def test_two_recordings_of_a_compressed_body_are_the_same(redactor):
    packed = gzip.compress(KEY.encode())
    assert redactor.body(packed) == redactor.body(packed)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"\x8b\x01\x80KEY\x03", "br"), (b"(\xb5/\xfd", "zstd"), (b"\x1f\x8b broken", "gzip"),
     (gzip.compress(b"x" * 1000, mtime=0)[:-9], "gzip"), (b"no zlib", "deflate")],
)  # fmt: skip
def test_body_that_cannot_be_read_is_left_out(body, encoding, redactor):
    assert redactor.body(body, encoding=encoding) == SECRET.encode()


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "br"])
def test_body_without_content_stays_without(encoding, redactor):
    assert redactor.body(b"", encoding=encoding) == b""


def test_bomb_is_left_out(redactor):
    bomb = gzip.compress(bytes(20_000_000), 1)
    assert redactor.body(bomb, encoding="gzip") == SECRET.encode()


def test_compressed_body_that_nobody_calls_so_is_cleaned_and_odd_bytes_stay(redactor):
    packed = gzip.compress(b"key " + KEY.encode() + b" " + bytes(range(256)) * 40)
    assert KEY.encode() not in gzip.decompress(redactor.body(packed))
    assert redactor.body(packed[:-9]) == SECRET.encode()
    odd = b"\x1f\x8b\x00\xff\xfe\x00"
    assert redactor.body(odd) == odd


def test_base64_of_a_text_is_cleaned(redactor):
    document = base64.b64encode(f"# Notes\n\nkey: {KEY}\n{'word ' * 200}".encode()).decode()
    clean = redactor.frame({"userInput": {"parts": [{"mimeType": "text/plain", "data": document}]}})
    text = base64.b64decode(clean["userInput"]["parts"][0]["data"]).decode()
    assert text == f"# Notes\n\nkey: {SECRET}\n{'word ' * 200}"


def test_pixels_stay_and_are_left_out_on_request(redactor):
    data = base64.b64encode(PIXELS).decode()
    frame = {"userInput": {"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}}
    assert redactor.frame(frame) == frame
    assert redactor.body(PIXELS) == PIXELS
    without = Redactor(environ={}, places={}, media=False)
    assert "{{agy:media}}" in str(without.frame(frame))
    assert data not in str(without.frame(frame))
    assert without.body(PIXELS) == b"{{agy:media}}"
    assert PIXELS not in without.body(MULTIPART)


def test_exchange_with_bytes_is_cleaned_later_too(redactor):
    made = {
        "request": {
            "uri": "http://x/",
            "body": b"\xff" + KEY.encode(),
            "headers": {"X-Key": [KEY]},
        },
        "response": {
            "headers": {"Set-Cookie": ["sid=aZ81kd02JK"], "Content-Type": ["text/plain"]},
            "body": {"string": b"\xfe" + KEY.encode()},
            "x_agy_chunks": [[10, 0.5], [30, 0.25]],
        },
    }
    clean = cleaned(made, redactor)
    assert KEY not in str(clean)
    assert "aZ81kd02JK" not in str(clean)
    assert clean["response"]["x_agy_chunks"] == [[len(b"\xfe" + SECRET.encode()), 0.75]]
    assert clean["response"]["headers"]["Content-Type"] == ["text/plain"]


class Odd(BaseHTTPRequestHandler):
    """Answers in Latin-1, with a secret, whatever it is sent."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = f"Grüße, {KEY}".encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=iso-8859-1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def url():
    with served(Odd) as server:
        yield f"http://127.0.0.1:{server.server_port}/"


def test_http_of_tools_is_kept_without_secrets_and_replays(url, tmp_path, redactor):
    def talk():
        packed = {"data": gzip.compress(KEY.encode()), "headers": {"Content-Encoding": "gzip"}}
        form = {"data": {"password": "Tr0ub4dor&3"}, "files": {"f": ("a.png", PIXELS)}}
        return [requests.post(url, **each, timeout=5).content for each in (packed, form)]

    for mode in ("all", "none"):
        http = ToolHttp(tmp_path, redactor, mode=mode)
        http.open()
        try:
            if mode == "all":
                answers = talk()
            else:  # the boundary of a form differs from run to run: only the packed one is alike
                again = requests.post(
                    url,
                    data=gzip.compress(KEY.encode()),
                    headers={"Content-Encoding": "gzip"},
                    timeout=5,
                )
                assert again.content == f"Grüße, {SECRET}".encode("latin-1")
        finally:
            http.close()
    assert KEY.encode() in answers[0]
    kept = (tmp_path / "tools.yaml").read_text(encoding="utf-8")
    from vcr.serializers import yamlserializer

    data = str(yamlserializer.deserialize(kept))
    assert KEY not in kept + data
    assert "Tr0ub4dor&3" not in kept + data


@pytest.fixture
def echo_server():
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    with served(Answers) as server:
        yield f"http://127.0.0.1:{server.server_port}/upload"


def test_upload_with_a_random_boundary_is_replayed(tmp_path, redactor, echo_server):
    files = {"f": ("a.bin", b"\xff\xfe " + KEY.encode())}
    for mode in ("once", "none"):
        kept = ToolHttp(tmp_path, redactor, mode=mode)
        kept.open()
        try:
            assert requests.post(echo_server, timeout=10, files=files).text == "ok"
        finally:
            kept.close()
