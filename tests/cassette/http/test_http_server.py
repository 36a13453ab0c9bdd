"""The server for a harness's requests: streams, shared connections, and clients that hang up."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from agy_nb.cassette.http.http_server import HttpResponse, HttpServer


class Echo:
    """Answers with the parts of a request, or waits until the client has gone."""

    def __init__(self):
        self.cancelled = asyncio.Event()
        self.headers = [("X-Number", "41")]

    def is_known(self, target):
        return target.startswith("/known")

    async def respond(self, request):
        async def chunks():
            yield f"{request.method} {request.target} ".encode()
            if request.target.endswith("wait"):
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
            if request.target.endswith("break"):
                raise ConnectionResetError
            yield request.body

        status = 204 if request.target.endswith("empty") else 200
        return HttpResponse(status, "Fine", self.headers, chunks())


@pytest.fixture
async def handler():
    return Echo()


@pytest.fixture
async def connected(handler):
    server = HttpServer(handler)
    port = await server.start()

    @asynccontextmanager
    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()

    yield connect
    await server.stop()


def request(method, target, body=b""):
    return (
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


async def test_requests_of_one_connection_are_answered_in_turn(connected):
    async with connected() as (reader, writer):
        for target in (b"/known/1", b"/known/2?a=%20"):
            writer.write(request("POST", target.decode(), b"body"))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 Fine\r\nX-Number: 41\r\n")
            assert b"POST " + target in await reader.readuntil(b"0\r\n\r\n")


@pytest.mark.parametrize(("method", "target"), [("HEAD", "/known"), ("GET", "/known/empty")])
async def test_answers_without_a_body_end_with_their_headers(connected, method, target):
    async with connected() as (reader, writer):
        writer.write(request(method, target) + request("GET", "/known/next"))
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 Fine")


async def test_a_target_that_is_not_known_is_refused_before_its_body(connected):
    async with connected() as (reader, writer):
        writer.write(b"POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n")
        answer = await reader.read()  # until the server closes
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_an_answer_that_breaks_off_breaks_the_connection(connected):
    async with connected() as (reader, writer):
        writer.write(request("GET", "/known/break"))
        sent = await reader.read()
    assert b"/known/break " in sent
    assert not sent.endswith(b"0\r\n\r\n")  # the end of a whole body


async def test_a_client_that_hangs_up_ends_the_work_on_its_request(connected, handler):
    async with connected() as (reader, writer):
        writer.write(request("GET", "/known/wait"))
        await reader.readuntil(b"/known/wait ")
    async with asyncio.timeout(10):
        await handler.cancelled.wait()


@pytest.mark.parametrize(
    "sent",
    [b"no http\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"],
)
async def test_what_is_not_http_closes_the_connection(connected, sent):
    async with connected() as (reader, writer):
        writer.write(sent)
        with suppress(ConnectionResetError):  # the server did not read all that was sent
            assert await reader.read() == b""


async def test_a_header_that_would_begin_another_line_closes_the_connection(connected, handler):
    handler.headers = [("X-Number", "41\r\nSet-Cookie: a=b")]
    async with connected() as (reader, writer):
        writer.write(request("GET", "/known"))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
