"""requests, urllib3 and urllib under `tool_http` see cut bodies, pieces and time-outs as live."""

import http.client
import itertools
import socket
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler

import pytest
import requests
import urllib3

from tests.support.http_site import served, tool_http

pytestmark = pytest.mark.blocking_allowed  # vcrpy reads files on the loop
TEXT = b"hello" * 3


class Site(BaseHTTPRequestHandler):
    """Breaks off a body in two ways, and sends a whole one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        if self.path == "/cut":
            self.send_header("Content-Length", "100")
            body = b"half"
        elif self.path == "/cut-chunk":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"4\r\nhalf\r\n"
        else:
            self.send_header("Content-Length", str(len(TEXT)))
            body = TEXT
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served(Site) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def alike(tmp_path):
    """Do something live, recorded and replayed; the outcome must be the same. Returns it."""

    numbers = itertools.count()

    def run(work):
        live = outcome(work)
        folder = tmp_path / f"c{next(numbers)}"
        for mode in ("once", "none"):
            with tool_http(folder, mode):
                assert (mode, outcome(work)) == (mode, live)
        return live

    return run


def outcome(work):
    """What some work returns, or the errors that it raises, from the outer to the inner one."""
    try:
        return work()
    except Exception as error:
        found = [(type(error), str(error))]
        while (error := getattr(error, "reason", None) or (*error.args, None)[0]) is not None:
            if not isinstance(error, Exception):
                break
            found.append((type(error), str(error)))
        return found


def pieces_of(url, size):
    """The pieces of a streamed body until it ends or breaks off."""
    found = []
    try:
        for piece in requests.get(url, stream=True, timeout=5).iter_content(size):
            found.append(piece)  # noqa: PERF402 - what came before the error counts
    except requests.RequestException as error:
        found.append(type(error))
    return found


@pytest.mark.parametrize("path", ["/cut", "/cut-chunk"])
def test_cut_body_fails_for_requests_after_its_answer(path, site, alike):
    found = alike(lambda: requests.get(site + path, timeout=5).content)
    assert [kind for kind, _ in found[:2]] == [
        requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError,
    ]  # fmt: skip
    assert alike(lambda: requests.get(site + path, timeout=5, stream=True).status_code) == 200
    assert alike(lambda: pieces_of(site + path, 4)) == [
        b"half", requests.exceptions.ChunkedEncodingError,
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/cut", "/cut-chunk"])
def test_cut_body_fails_for_urllib(path, site, alike):
    [(kind, words)] = alike(lambda: urllib.request.urlopen(site + path, timeout=5).read())
    assert kind is http.client.IncompleteRead
    assert words.startswith("IncompleteRead(4 bytes read")


def test_urllib_that_reads_pieces_gets_what_arrived(site, alike):
    def work():
        with urllib.request.urlopen(site + "/cut", timeout=5) as found:
            return found.read(3), found.read(3), found.read(3)

    assert alike(work) == (b"hal", b"f", b"")


def test_cut_body_fails_for_urllib3_which_reads_it_at_once(site, alike):
    def work():
        with urllib3.PoolManager() as pool:
            return pool.request("GET", site + "/cut", retries=False).data

    assert alike(work)[0][0] is urllib3.exceptions.ProtocolError


@pytest.mark.parametrize("size", [4, 5, 15, 100, None])
def test_pieces_of_a_body_have_no_empty_one_at_the_end(size, site, alike):
    found = alike(lambda: pieces_of(site + "/whole", size))
    assert b"".join(found) == TEXT
    assert b"" not in found


@pytest.fixture
def deaf():
    """A port that accepts no connection, as its queue is full, and one that never answers."""
    with socket.socket() as full, socket.socket() as silent:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        yield full.getsockname()[1], silent.getsockname()[1]
        for each in waiting:
            each.close()


def test_time_out_of_urllib_while_it_connects_and_while_it_waits(deaf, alike, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    full, silent = (f"http://127.0.0.1:{port}/sky" for port in deaf)
    found = alike(lambda: urllib.request.urlopen(full, timeout=0.2))
    assert [kind for kind, _ in found] == [urllib.error.URLError, TimeoutError]
    assert [kind for kind, _ in alike(lambda: urllib.request.urlopen(silent, timeout=0.2))] == [
        TimeoutError
    ]
