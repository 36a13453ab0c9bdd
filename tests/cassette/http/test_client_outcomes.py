"""aiohttp and urllib behave under `tool_http` as they do without it, in recordings and replays."""

import asyncio
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler

import aiohttp
import pytest

from tests.support.http_site import served, tool_http

pytestmark = pytest.mark.blocking_allowed  # vcrpy reads files on the loop


class Site(BaseHTTPRequestHandler):
    """Says which method arrives; fails every second time; sends a length twice."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, _, status = self.path.strip("/").partition("/")
        if name == "moved":
            self.reply(int(status), b"", ("Location", "/method"))
        elif name == "flaky":
            type(self).asked += 1
            self.reply(503 if self.asked % 2 else 200, b"number %d" % self.asked)
        elif name == "doubled":
            self.reply(200, b"two", ("Content-Length", "3"))
        else:
            self.reply(200, self.command.encode())

    def do_POST(self):
        self.do_GET()

    def do_PUT(self):
        self.do_GET()

    def reply(self, status, body, *headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    Site.asked = 0
    with served(Site) as server:
        yield server


def with_aiohttp(*requests, **options):
    """Make requests one after the other; return the texts of answers, and what failed."""

    async def ask(client, method, url):
        try:
            async with client.request(method, url, **options) as found:
                return await found.text()
        except aiohttp.ClientResponseError as error:
            return type(error), error.status, str(error)

    async def ask_all():
        async with aiohttp.ClientSession() as client:
            return [await ask(client, method, url) for method, url in requests]

    return asyncio.run(ask_all())


@pytest.mark.parametrize(
    ("sent", "status", "arrives"),
    [
        ("POST", 301, "GET"), ("POST", 302, "GET"), ("POST", 303, "GET"), ("POST", 307, "POST"),
        ("POST", 308, "POST"), ("PUT", 302, "PUT"), ("PUT", 303, "GET"),
    ],
)  # fmt: skip
def test_redirect_of_aiohttp_has_its_method_beside_requests_with_others(
    sent, status, arrives, twice
):
    def work(base):
        others = [(method, base + "/method") for method in ("GET", "POST", "PUT")]
        return with_aiohttp(*others, (sent, f"{base}/moved/{status}"), *others)

    others = ["GET", "POST", "PUT"]
    assert twice(work) == [*others, arrives, *others]


def test_request_that_raises_for_its_status_is_recorded_once(twice):
    """A second record of the same answer would be the answer to the next try."""

    def work(base):
        return with_aiohttp(*[("GET", base + "/flaky")] * 4, raise_for_status=True)

    first, second, third, fourth = twice(work)
    assert [first[1], third[1]] == [503, 503]
    assert [second, fourth] == ["number 2", "number 4"]


def test_malformed_answer_fails_again_with_its_status_and_address(twice):
    [(kind, status, message)] = twice(lambda base: with_aiohttp(("GET", base + "/doubled")))
    assert (kind, status) == (aiohttp.ClientResponseError, 400)
    assert "/doubled" in message


@pytest.mark.parametrize("mode", ["once", "none"])
def test_refused_connection_of_urllib_is_an_error_of_urllib(mode, tmp_path):
    def ask():
        with pytest.raises(urllib.error.URLError) as caught:
            urllib.request.urlopen("http://127.0.0.1:1/sky", timeout=5)
        return type(caught.value.reason)

    with tool_http(tmp_path, "once"):
        assert ask() is ConnectionRefusedError
    with tool_http(tmp_path, mode):
        assert ask() is ConnectionRefusedError
