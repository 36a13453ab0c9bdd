"""A replayed request of a tool gets the answer that the recorded one got, with its headers."""

import asyncio
import io
import json
import socket
import urllib.request
from http.server import BaseHTTPRequestHandler

import aiohttp
import httpx
import pytest
import requests

from agy_nb.cassette.http.recorded_errors import error_of
from agy_nb.cassette.http.response_fields import ERROR
from tests.support.http_site import served, tool_http

pytestmark = pytest.mark.blocking_allowed  # vcrpy reads files on the loop

SECRET = "q9Zr7LmX2vKp4TtB8sWc"


class Site(BaseHTTPRequestHandler):
    """A small web site: redirects, pages, cookies, limits, uploads."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/old":
            self.reply(302, b"", Location="/sky")
        elif path == "/limit":
            self.reply(
                200, b"{}", ETag='"33a64df551425fcc55e4d42a148795d9f25f89d4"',
                X_RateLimit_Remaining="41", Content_Disposition='attachment; filename="sky.csv"',
            )  # fmt: skip
        elif path == "/pages":
            url = f"http://127.0.0.1:{self.server.server_port}/pages?page=2&key={SECRET}"
            more = {} if "page=2" in self.path else {"Link": f'<{url}>; rel="next"'}
            self.reply(200, b"[1]" if more else b"[2]", **more)
        elif path == "/cookie":
            self.reply(200, b"{}", Set_Cookie=f"sid={SECRET}; Path=/; HttpOnly", X_Api_Key=SECRET)
        elif path == "/secret":
            self.reply(200, json.dumps({"password": SECRET, "sky": "blue"}).encode())
        elif path == "/long":
            self.reply(200, b"{}", X_Long="x" * 9000)
        else:
            self.reply(200, b'{"sky": "blue"}')

    def do_POST(self):
        if "Content-Length" in self.headers:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        else:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if self.path == "/again":
            self.reply(307, b"", Location="/upload")
            return
        self.reply(200, b"%d bytes" % (len(body) // 100))

    def reply(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    with served(Site) as server:
        yield server


def with_requests(method, url, **options):
    with requests.Session() as session:
        found = session.request(method, url, timeout=5, **options)
    return found.status_code, dict(found.headers), found.text


def with_httpx(method, url, **options):
    with httpx.Client(follow_redirects=True) as client:
        found = client.request(method, url, **options)
    return found.status_code, dict(found.headers), found.text


def with_urllib(method, url):
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=5) as found:
        return found.status, dict(found.headers), found.read().decode()


def with_aiohttp(method, url, **options):
    async def ask():
        async with (
            aiohttp.ClientSession(max_field_size=16_000) as client,
            client.request(method, url, **options) as found,
        ):
            return found.status, dict(found.headers), await found.text()

    return asyncio.run(ask())


CLIENTS = [with_requests, with_httpx, with_urllib, with_aiohttp]


@pytest.mark.parametrize("ask", CLIENTS)
def test_redirect_is_followed_to_its_end(ask, both):
    recorded, replayed = both(lambda base: ask("GET", base + "/old"))
    assert recorded[0] == replayed[0] == 200
    assert recorded[2] == replayed[2] == '{"sky": "blue"}'


@pytest.mark.parametrize("ask", [with_requests, with_httpx, with_aiohttp])
def test_redirect_that_keeps_the_method_is_followed(ask, both):
    recorded, replayed = both(lambda base: ask("POST", base + "/again", data={"a": "b" * 200}))
    assert recorded[0] == replayed[0] == 200
    assert recorded[2] == replayed[2] == "2 bytes"


@pytest.mark.parametrize("ask", CLIENTS)
def test_headers_that_programs_read_are_there(ask, both):
    for status, headers, _ in both(lambda base: ask("GET", base + "/limit")):
        named = {name.lower(): value for name, value in headers.items()}
        assert status == 200
        assert named["etag"] == '"33a64df551425fcc55e4d42a148795d9f25f89d4"'
        assert named["x-ratelimit-remaining"] == "41"
        assert named["content-disposition"] == 'attachment; filename="sky.csv"'


def test_next_page_is_found(both):
    def pages(base):
        url, found = base + "/pages", []
        while url:
            answer = requests.get(url, timeout=5)
            found += answer.json()
            url = answer.links.get("next", {}).get("url")
        return found

    recorded, replayed = both(pages)
    assert recorded == replayed == [1, 2]


def test_cookie_keeps_its_name_and_loses_its_value(both, tmp_path):
    def ask(base):
        answer = requests.get(base + "/cookie", timeout=5)
        return dict(answer.cookies), answer.headers["X-Api-Key"]

    recorded, replayed = both(ask)
    assert recorded == ({"sid": SECRET}, SECRET)  # the program gets what the server sent
    assert replayed == ({"sid": "{{agy:secret}}"}, "{{agy:secret}}")
    assert SECRET not in (tmp_path / "c" / "tools.yaml").read_text()


@pytest.mark.parametrize("ask", CLIENTS)
def test_body_that_redaction_shortened_is_read_to_its_end(ask, both):
    _, replayed = both(lambda base: ask("GET", base + "/secret"))
    assert json.loads(replayed[2])["sky"] == "blue"
    assert SECRET not in replayed[2]


@pytest.mark.parametrize("ask", CLIENTS)
def test_long_header_passes(ask, both):
    for status, headers, _ in both(lambda base: ask("GET", base + "/long")):
        assert (status, len(headers.get("X-Long") or headers.get("x-long"))) == (200, 9000)


def form(text):
    data = aiohttp.FormData()
    data.add_field("file", io.BytesIO(text), filename="sky.csv")
    data.add_field("note", "today")
    return data


def stream(text):
    yield text[:100]
    yield text[100:]


UPLOADS = {
    "requests": lambda url, text: with_requests(
        "POST", url, files={"file": ("sky.csv", text)}, data={"note": "today"}
    ),
    "requests, open file": lambda url, text: with_requests(
        "POST", url, files={"file": ("sky.csv", io.BytesIO(text))}
    ),
    "httpx": lambda url, text: with_httpx(
        "POST", url, files={"file": ("sky.csv", text)}, data={"note": "today"}
    ),
    "requests, piece by piece": lambda url, text: with_requests("POST", url, data=stream(text)),
    "aiohttp, form": lambda url, text: with_aiohttp("POST", url, data={"text": text.decode()}),
    "aiohttp, JSON": lambda url, text: with_aiohttp("POST", url, json={"text": text.decode()}),
    "aiohttp": lambda url, text: with_aiohttp("POST", url, data=form(text)),
}


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS)
def test_upload_with_a_random_boundary_is_found_again(upload, both):
    recorded, replayed = both(lambda base: upload(base + "/upload", b"sky,blue\n" * 50))
    assert recorded == replayed
    assert recorded[0] == 200


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS)
def test_another_upload_is_not_found(upload, site, tmp_path):
    base = f"http://127.0.0.1:{site.server_port}/upload"
    with tool_http(tmp_path, "once"):
        upload(base, b"sky,blue\n" * 50)
    with tool_http(tmp_path, "none"), pytest.raises(Exception, match="play back this request"):
        upload(base, b"sky,grey\n" * 50)


@pytest.mark.parametrize("name", [name for name in UPLOADS if "piece" not in name])
def test_secret_in_an_upload_is_not_written(name, site, tmp_path):
    base = f"http://127.0.0.1:{site.server_port}/upload"
    with tool_http(tmp_path, "once"):
        UPLOADS[name](base, b"api_key=%s\n" % SECRET.encode())
    assert SECRET not in (tmp_path / "tools.yaml").read_text()


def outcome(work):
    try:
        work()
    except Exception as error:
        return type(error), str(error)
    return None


CLOSED = "http://127.0.0.1:1/sky"


@pytest.mark.parametrize("ask", CLIENTS)
def test_refused_connection_is_refused_again(ask, tmp_path):
    with tool_http(tmp_path, "once"):
        recorded = outcome(lambda: ask("GET", CLOSED))
    with tool_http(tmp_path, "none"):
        replayed = outcome(lambda: ask("GET", CLOSED))
    assert recorded == replayed
    assert recorded is not None


@pytest.mark.parametrize("ask", CLIENTS)
def test_unknown_host_is_unknown_again(ask, tmp_path, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with tool_http(tmp_path, "once"):
        recorded = outcome(lambda: ask("GET", "http://no-such-host.invalid/sky"))
    with tool_http(tmp_path, "none"):
        replayed = outcome(lambda: ask("GET", "http://no-such-host.invalid/sky"))
    assert recorded == replayed
    assert recorded is not None


@pytest.mark.parametrize(
    "ask",
    [
        lambda url: requests.get(url, timeout=0.05),
        lambda url: httpx.get(url, timeout=0.05),
        lambda url: urllib.request.urlopen(url, timeout=0.05),
        lambda url: with_aiohttp("GET", url, timeout=aiohttp.ClientTimeout(total=0.05)),
    ],
    ids=["requests", "httpx", "urllib", "aiohttp"],
)
def test_time_out_comes_again_without_waiting(ask, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/sky"
        with tool_http(tmp_path, "once"):
            recorded = outcome(lambda: ask(url))
    with tool_http(tmp_path, "none"):
        replayed = outcome(lambda: ask(url))
    assert recorded == replayed
    assert recorded is not None


def test_errors_and_answers_keep_their_order(site, tmp_path):
    """A program that tries again after an error does so in the replay."""

    def ask(base):
        return [outcome(lambda: requests.get(CLOSED, timeout=5)), with_requests("GET", base)[0]]

    base = f"http://127.0.0.1:{site.server_port}/sky"
    with tool_http(tmp_path, "once"):
        recorded = ask(base)
    with tool_http(tmp_path, "none"):
        assert ask(base) == recorded


@pytest.mark.parametrize("named", ["os.system", "builtins.SystemExit", "subprocess.Popen", "x", 7])
def test_error_type_of_a_hostile_cassette_is_never_made(named):
    found = error_of({ERROR: {"type": named, "text": "no"}})
    assert type(found) is ConnectionError
