"""The process that makes a recording's requests: it starts once, and it always ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agy_nb.cassette.http.upstream.http_client import HttpClient
from agy_nb.cassette.http.upstream.relay import Relay
from agy_nb.cassette.http.upstream.routes import Route, connected

pytestmark = pytest.mark.blocking_allowed  # processes are started, and a thread is waited for


@pytest.mark.parametrize("steps", range(6))
def test_relay_that_is_closed_while_it_starts_ends(steps):
    """As in a recording that is over at once: its loop is that of a thread."""

    async def start_and_close() -> None:
        relay = Relay()
        starting = asyncio.create_task(relay.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        await relay.close()
        del starting

    thread = threading.Thread(target=lambda: asyncio.run(start_and_close()), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()


async def test_two_requests_at_once_start_one_process():
    relay = Relay()
    await asyncio.gather(relay.start(), relay.start())
    first = relay._process
    await relay.start()
    assert relay._process is first
    await relay.close()


class Secure(BaseHTTPRequestHandler):
    """A model behind https."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"over TLS")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.3"))]
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    public = key.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, form, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + private)
    return file


@pytest.fixture
def secure(certificate):
    """The port of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Secure)
    server.handle_error = lambda *_: None  # a client that does not trust it hangs up
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


async def asked(kind, url):
    relay = kind()
    await relay.start()
    try:
        answer = await relay.request("GET", url, [], b"")
        return b"".join([piece async for piece in answer.chunks()])
    finally:
        await relay.close()


@pytest.mark.parametrize("kind", [Relay, HttpClient])
async def test_model_behind_https_is_reached_if_the_system_trusts_it(
    kind, secure, certificate, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await asked(kind, f"https://localhost:{secure}/") == b"over TLS"


@pytest.mark.parametrize("kind", [Relay, HttpClient])
async def test_certificate_that_the_system_does_not_trust_is_refused(kind, secure, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(ConnectionResetError, match="CERTIFICATE_VERIFY_FAILED"):
        await asked(kind, f"https://localhost:{secure}/")


@pytest.mark.parametrize("kind", [Relay, HttpClient])
async def test_certificate_of_another_host_is_refused(kind, secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ConnectionResetError, match="IP address mismatch"):
        await asked(kind, f"https://127.0.0.1:{secure}/")


async def test_https_goes_through_a_tunnel_of_the_proxy(secure, certificate):
    asked = []

    async def pass_on(reader, writer):
        while data := await reader.read(2**16):
            writer.write(data)
        writer.close()

    async def serve(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        there, back = await asyncio.open_connection("127.0.0.1", secure)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    context = ssl.create_default_context(cafile=certificate)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        route = Route("https", "localhost", secure, f"http://127.0.0.1:{port}")
        reader, writer = await connected(route, lambda: context)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"over TLS")
        writer.close()
    assert asked == [f"CONNECT localhost:{secure} HTTP/1.1".encode()]
