"""Situations that users of other record-replay tools have reported, with the requests of tools.

`tests/cassette/test_reports.py` lists the reports.
"""

import asyncio
import gzip
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import aiohttp
import httpx
import pytest
import requests

from tests.support.http_site import served, tool_http

pytestmark = pytest.mark.blocking_allowed  # vcrpy reads files on the loop

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
TEXT = "Grüße, 世界 🙂" * 200
EMPTY = {
    "/old": {"headers": [("Location", "/picture")], "status": 302},
    "/same": {"headers": [("ETag", '"1"')], "status": 304},
    "/none": {"status": 204},
}


class Site(BaseHTTPRequestHandler):
    """A web site with redirects, compressed and binary answers, streams and cookies."""

    protocol_version = "HTTP/1.1"
    counter = itertools.count(1)

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "100")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.reply(b"posted " + body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path in EMPTY:
            self.reply(b"", **EMPTY[path])
        elif path == "/count":
            self.reply(b"%d" % next(self.counter))
        elif path == "/picture":
            self.reply(PICTURE, ("Content-Type", "image/png"))
        elif path == "/gzip":
            self.reply(
                gzip.compress(TEXT.encode()),
                ("Content-Encoding", "gzip"),
                ("Content-Type", "text/plain; charset=utf-8"),
            )
        elif path == "/login":
            self.reply(
                b"{}", ("Set-Cookie", "theme=dark; Path=/"), ("Set-Cookie", "lang=de; Path=/")
            )
        elif path == "/who":
            self.reply((self.headers.get("Cookie") or "").encode())
        elif path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(5):
                self.wfile.write(b"6\r\nline %d\r\n" % number)
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.reply(self.path.encode())

    def reply(self, body, *more, status=200, headers=()):
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        for name, value in (*more, *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    with served(Site) as server:
        yield server


def body_with_requests(url, **options):
    with requests.Session() as session:
        return session.get(url, timeout=5, **options).content


def body_with_httpx(url):
    with httpx.Client(follow_redirects=True) as client:
        return client.get(url).content


def body_with_async_httpx(url):
    async def ask():
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return (await client.get(url)).content

    return asyncio.run(ask())


def body_with_aiohttp(url):
    async def ask():
        async with aiohttp.ClientSession() as client, client.get(url) as found:
            return await found.read()

    return asyncio.run(ask())


BODIES = [body_with_requests, body_with_httpx, body_with_async_httpx, body_with_aiohttp]


@pytest.mark.parametrize("ask", BODIES)
@pytest.mark.parametrize(
    ("path", "body"), [("/picture", PICTURE), ("/old", PICTURE), ("/gzip", TEXT.encode())]
)
@pytest.mark.slow
def test_body_keeps_its_bytes(ask, path, body, twice):
    assert twice(lambda base: ask(base + path)) == body


@pytest.mark.parametrize("ask", BODIES[:3])
@pytest.mark.slow
def test_requests_of_several_threads_are_all_recorded(ask, twice):
    def work(base):
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(ask, [f"{base}/{number}" for number in range(20)]))

    assert twice(work) == [b"/%d" % number for number in range(20)]


@pytest.mark.parametrize("ask", BODIES[:3])
@pytest.mark.slow
def test_threads_are_refused_what_was_not_recorded(ask, site, tmp_path):
    url = f"http://127.0.0.1:{site.server_port}/"
    with tool_http(tmp_path / "c", "once"):
        ask(url)

    def refused(number):
        try:
            ask(f"{url}{number}")
        except Exception as error:
            return type(error).__name__
        return None

    with tool_http(tmp_path / "c", "none"), ThreadPoolExecutor(4) as pool:
        found = set(pool.map(refused, range(20)))
    assert found == {"CannotOverwriteExistingCassetteException"}


def stream_with_requests(url):
    with requests.get(url, stream=True, timeout=5) as found:
        return b"".join(found.iter_content(3))


def lines_with_requests(url):
    with requests.get(url, stream=True, timeout=5) as found:
        return b"".join(found.iter_lines())


def stream_with_httpx(url):
    with httpx.stream("GET", url) as found:
        return b"".join(found.iter_bytes())


def stream_with_async_httpx(url):
    async def ask():
        async with httpx.AsyncClient() as client, client.stream("GET", url) as found:
            return b"".join([piece async for piece in found.aiter_bytes()])

    return asyncio.run(ask())


def stream_with_aiohttp(url):
    async def ask():
        async with aiohttp.ClientSession() as client, client.get(url) as found:
            return b"".join([piece async for piece in found.content.iter_chunked(1024)])

    return asyncio.run(ask())


STREAMS = [
    stream_with_requests,
    lines_with_requests,
    stream_with_httpx,
    stream_with_async_httpx,
    stream_with_aiohttp,
]


@pytest.mark.parametrize("ask", STREAMS)
def test_streamed_answer_is_read_while_it_is_recorded_and_replayed(ask, twice):
    assert twice(lambda base: ask(base + "/stream")) == b"".join(b"line %d" % n for n in range(5))


def status_with_requests(url):
    return requests.get(url, allow_redirects=False, timeout=5).status_code


def status_with_httpx(url):
    with httpx.Client() as client:
        return client.get(url).status_code


def status_with_aiohttp(url):
    async def ask():
        async with (
            aiohttp.ClientSession() as client,
            client.get(url, allow_redirects=False) as found,
        ):
            return found.status

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [status_with_requests, status_with_httpx, status_with_aiohttp])
@pytest.mark.parametrize(("path", "status"), [("/old", 302), ("/same", 304), ("/none", 204)])
def test_answer_that_is_not_followed_keeps_its_status(ask, path, status, twice):
    assert twice(lambda base: ask(base + path)) == status


def test_several_cookies_are_kept_and_sent_again(twice):
    def work(base):
        with requests.Session() as session:
            session.get(base + "/login", timeout=5)
            names = sorted(session.cookies.keys())
            return names, session.get(base + "/who", timeout=5).status_code

    assert twice(work) == (["lang", "theme"], 200)


def test_equal_requests_get_their_answers_in_order(site, tmp_path):
    url = f"http://127.0.0.1:{site.server_port}/count"
    with tool_http(tmp_path, "once"):
        first = [body_with_requests(url) for _ in range(3)]
    assert len(set(first)) == 3
    with tool_http(tmp_path, "none"):
        assert [body_with_requests(url) for _ in range(3)] == first


def test_more_equal_requests_than_recorded_are_added_in_one_run(site, tmp_path):
    url = f"http://127.0.0.1:{site.server_port}/count"
    with tool_http(tmp_path, "once"):
        first = body_with_requests(url)
    with tool_http(tmp_path, "new_episodes"):
        all_of_them = [body_with_requests(url) for _ in range(3)]
    assert all_of_them[0] == first
    assert len(set(all_of_them)) == 3
    with tool_http(tmp_path, "none"):
        assert [body_with_requests(url) for _ in range(3)] == all_of_them


@pytest.mark.parametrize("fields", [{"city": "Lima", "day": "1"}, {"day": "1", "city": "Lima"}])
def test_fields_of_a_form_are_found_in_their_order_and_in_another(site, tmp_path, fields):
    url = f"http://127.0.0.1:{site.server_port}/form"
    with tool_http(tmp_path, "once"):
        requests.post(url, data={"city": "Lima", "day": "1"}, timeout=5)
    with tool_http(tmp_path, "none"):
        found = requests.post(url, data=fields, timeout=5)
    assert found.content == b"posted city=Lima&day=1"


def test_requests_without_a_body_are_found(twice):
    """With `None` and with an empty body."""

    def work(base):
        answers = [requests.post(f"{base}/empty", data=data, timeout=5) for data in (None, b"")]
        return [each.content for each in answers]

    assert twice(work) == [b"posted ", b"posted "]


def test_answer_without_the_compressed_body_that_its_headers_name(twice):
    def work(base):
        found = requests.head(f"{base}/gzip", timeout=5)
        return found.content, found.headers["Content-Encoding"], found.headers["Content-Length"]

    assert twice(work) == (b"", "gzip", "100")


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_parallel_requests_get_their_own_answers_in_any_order(site, tmp_path, order):
    base = f"http://127.0.0.1:{site.server_port}"

    async def ask(numbers):
        async with httpx.AsyncClient() as client:
            found = await asyncio.gather(*(client.get(f"{base}/item?n={n}") for n in numbers))
        return {n: each.content for n, each in zip(numbers, found, strict=True)}

    with tool_http(tmp_path, "once"):
        recorded = asyncio.run(ask([0, 1, 2, 3]))
    with tool_http(tmp_path, "none"):
        assert asyncio.run(ask(order)) == recorded


def test_stream_that_nobody_reads_does_not_reach_the_next_cassette(site, tmp_path):
    base = f"http://127.0.0.1:{site.server_port}"
    with tool_http(tmp_path / "a", "once"):
        unread = requests.get(base + "/stream", stream=True, timeout=5)
    with tool_http(tmp_path / "b", "once"):
        assert body_with_requests(base + "/b") == b"/b"
    unread.close()
    assert b"/stream" not in (tmp_path / "b/tools.yaml").read_bytes()
    with tool_http(tmp_path / "b", "none"):
        assert body_with_requests(base + "/b") == b"/b"


def test_thread_that_outlives_its_cassette_does_not_reach_the_next_one(site, tmp_path):
    base = f"http://127.0.0.1:{site.server_port}"
    go, found = threading.Event(), []
    with requests.Session() as session:

        def late():
            session.get(base + "/early", timeout=5)
            started.set()
            go.wait(10)
            found.append(session.get(base + "/late", timeout=5).content)

        started = threading.Event()
        thread = threading.Thread(target=late)
        with tool_http(tmp_path / "a", "once"):
            thread.start()
            assert started.wait(10)
        with tool_http(tmp_path / "b", "once"):
            assert body_with_requests(base + "/b") == b"/b"
        go.set()
        thread.join()
    assert found == [b"/late"]
    assert b"/late" not in (tmp_path / "b/tools.yaml").read_bytes()
