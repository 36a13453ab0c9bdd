"""The client that makes a recording's requests: what it sends, where, and over which connection."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from agy_nb.cassette.http.upstream.http_client import HttpClient
from agy_nb.cassette.http.upstream.routes import Route, route_of

pytestmark = pytest.mark.blocking_allowed  # the settings of the system's proxies are read

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Sends the given answers, one per request, and keeps the requests by connection."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.connections = []

    async def serve(self, reader, writer):
        requests = []
        self.connections.append(requests)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = [line.split(": ")[1] for line in lines if line.startswith("Content-Len")]
                body = await reader.readexactly(int(length[0])) if length else b""
                requests.append((lines[0], lines[1:-2], body))
                answer = self.answers.pop(0)
                writer.write(answer)
                if b"close" in answer.lower() or not answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    @property
    def requests(self):
        return [request for requests in self.connections for request in requests]


@asynccontextmanager
async def serving(*answers):
    server = Server(*answers)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        server.url = f"http://127.0.0.1:{server.port}"
        yield server


@pytest.fixture
async def client(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    client = HttpClient()
    yield client
    await client.close()


async def ask(client, url, method="POST", headers=(), body=b"{}"):
    answer = await client.request(method, url, headers, body)
    return answer.status, b"".join([chunk async for chunk in answer.chunks()])


def redirect(status, to):
    return f"HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_a_request_has_only_the_given_headers_and_those_of_http(client):
    async with serving(OK) as server:
        url = f"{server.url}/v1/m:go?alt=sse"
        assert await ask(client, url, headers=[("X-Goog-Api-Key", "k")]) == (200, b"ok")
        host = f"Host: 127.0.0.1:{server.port}"
        sent = ("POST /v1/m:go?alt=sse HTTP/1.1", [host, "X-Goog-Api-Key: k", "Content-Length: 2"])
        assert server.requests == [(*sent, b"{}")]


async def test_requests_share_a_connection_until_the_server_closes_it(client):
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nlast"
    async with serving(OK, OK, last, OK) as server:
        said = [await ask(client, server.url) for _ in range(4)]
    assert said == [(200, b"ok"), (200, b"ok"), (200, b"last"), (200, b"ok")]
    assert [len(requests) for requests in server.connections] == [3, 1]


async def test_a_request_that_a_closing_server_did_not_answer_is_sent_again(client):
    async with serving(OK, b"", OK) as server:
        assert await ask(client, server.url) == (200, b"ok")
        assert await ask(client, server.url, body=b"second") == (200, b"ok")
    assert [body for *_, body in server.requests] == [b"{}", b"second", b"second"]


async def test_a_server_that_never_answers_is_asked_once(client):
    async with serving(b"") as server:
        with pytest.raises(ConnectionResetError, match="closed"):
            await ask(client, server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", b""), (302, "GET", b""), (303, "GET", b""), (307, "POST", b"{}"),
     (308, "POST", b"{}")],
)  # fmt: skip
async def test_redirects_are_followed_as_go_does(client, status, method, body):
    async with serving(redirect(status, "/new?a=ä b"), OK) as server:
        headers = [("Content-Type", "application/json"), ("Authorization", "Bearer k")]
        assert await ask(client, f"{server.url}/old", headers=headers) == (200, b"ok")
        line, sent, again = server.requests[1]
    assert (line, again) == (f"{method} /new?a=%C3%A4%20b HTTP/1.1", body)
    assert "Authorization: Bearer k" in sent
    assert ("Content-Type: application/json" in sent) == bool(body)


async def test_another_server_does_not_get_the_key_of_the_first(client):
    async with serving(OK) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        async with serving(redirect(307, elsewhere)) as one:
            headers = [("Authorization", "Bearer k")]
            assert await ask(client, one.url, headers=headers) == (200, b"ok")
    assert not [line for line in other.requests[0][1] if line.startswith("Authorization")]


async def test_redirects_without_an_end_are_an_error(client):
    async with serving(*[redirect(302, "/again")] * 10) as server:
        with pytest.raises(ConnectionResetError, match="more than 9 redirects from http://127"):
            await ask(client, server.url)


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "//host/", "http://[::1"])
async def test_other_addresses_are_refused(client, url):
    with pytest.raises(ConnectionResetError, match=r"not an http://|Invalid IPv6"):
        await ask(client, url)


@pytest.mark.parametrize(
    "answer",
    [b"220 smtp ready; close\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
)  # fmt: skip
async def test_answers_that_are_not_http_are_errors(client, answer):
    async with serving(answer) as server:
        with pytest.raises(ConnectionResetError):
            await ask(client, server.url)


async def test_a_body_that_is_cut_off_is_an_error_after_its_beginning(client):
    cut = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf"
    async with serving(cut) as server:
        answer = await client.request("GET", server.url, [], b"")
        chunks = answer.chunks()
        assert await anext(chunks) == b"half"
        with pytest.raises(ConnectionResetError):
            await anext(chunks)


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_requests_go_through_the_proxy_of_the_environment(client, monkeypatch, scheme):
    async with serving(OK) as proxy:
        monkeypatch.setenv("http_proxy", f"{scheme}me:p%40ss@127.0.0.1:{proxy.port}")
        assert await ask(client, "http://model.example/v1?a=1") == (200, b"ok")
    line, headers, _ = proxy.requests[0]
    assert line == "POST http://model.example/v1?a=1 HTTP/1.1"
    assert headers[0] == "Host: model.example"
    assert "Proxy-Authorization: Basic bWU6cEBzcw==" in headers


async def test_servers_of_this_machine_and_of_no_proxy_are_asked_directly(client, monkeypatch):
    async with serving(OK, OK) as server, serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert await ask(client, server.url) == (200, b"ok")
        assert await ask(client, f"http://localhost:{server.port}") == (200, b"ok")
    assert proxy.connections == []
    asked = urlsplit("http://models.example/")
    assert route_of(asked) == Route("http", "models.example", 80, proxy.url)
    monkeypatch.setenv("no_proxy", ".example")
    assert route_of(asked) == Route("http", "models.example", 80)


async def test_a_proxy_that_refuses_a_tunnel_is_named_without_its_password(client, monkeypatch):
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with serving(refused) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectionResetError) as told:
            await ask(client, "https://model.example/")
    assert str(told.value) == "the proxy 127.0.0.1 answered with 407 for model.example"
    assert proxy.requests[0][0] == "CONNECT model.example:443 HTTP/1.1"


async def test_a_proxy_of_another_kind_is_explained(client, monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ConnectionResetError, match=r"is a socks5:// address; only http:// and"):
        await ask(client, "https://model.example/")
