"""The model seam alone: a client, the gateway, and an upstream that does as it is told."""

import asyncio
import gzip
import json
from pathlib import Path
from tempfile import gettempdir

import aiohttp
import pytest
from aiohttp import web

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.http.session_paths import SessionPaths
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.storage.format import EPISODES
from agy_nb.cassette.storage.model_log import read_model

pytestmark = pytest.mark.blocking_allowed  # opening and saving are a thread's work in real use
CONFIG = {
    "config": {
        "workspaces": [{"filesystemWorkspace": {"directory": "/then/work"}}],
        "models": [{"geminiApiEndpoint": {"baseUrl": "", "apiKey": "key-123456"}}],
    }
}


class Upstream:
    """A model's side: sends each chunk when told, and breaks off when told."""

    def __init__(self):
        self.next = asyncio.Event()
        self.chunks = []
        self.breaks = False
        self.bodies = []
        self.moved = {}
        self.headers = {"Set-Cookie": "s=1"}

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc):
        await self.runner.cleanup()

    async def handle(self, request):
        self.bodies.append((str(request.rel_url), dict(request.headers), await request.read()))
        if request.path in self.moved:
            raise web.HTTPTemporaryRedirect(self.moved[request.path])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"} | self.headers)
        await response.prepare(request)
        for chunk in self.chunks:
            await self.next.wait()
            self.next.clear()
            await response.write(chunk)
        if self.breaks:
            request.transport.abort()
        return response


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def client():
    async with aiohttp.ClientSession() as session:
        yield session


OPENED = []


@pytest.fixture(autouse=True)
def closed():
    """Close each side that a test opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def side(folder, **options):
    opened = ModelRecorder(folder, Redactor(environ={}), **options)
    opened.open()
    OPENED.append(opened)
    opened.start()
    return opened


def address(model, url, session=0, work="/then/work"):
    endpoint = {"baseUrl": url, "apiKey": "key-123456"}
    workspace = {"filesystemWorkspace": {"directory": work}}
    config = {"models": [{"geminiApiEndpoint": endpoint}], "workspaces": [workspace]}
    changed = model.rewrite(session, {"config": config})
    assert config["models"][0]["geminiApiEndpoint"]["baseUrl"] == url
    return changed["config"]["models"][0]["geminiApiEndpoint"]["baseUrl"]


async def read(client, url, body=b"{}", on_chunk=lambda: None):
    chunks = []
    async with client.post(
        f"{url}/v1/m:go?alt=sse", data=body, headers={"X-Goog-Api-Key": "k"}
    ) as r:
        on_chunk()
        async for chunk, _ in r.content.iter_chunks():
            if chunk:
                chunks.append(chunk)
                on_chunk()
    return chunks


async def recorded(tmp_path, upstream, client, body=b"{}"):
    """Record one exchange; each chunk is sent only once the one before has arrived."""
    model = side(tmp_path, replaying=False)
    try:
        return await read(client, address(model, upstream.url), body, upstream.next.set)
    finally:
        await asyncio.to_thread(model.stop)
        model.save()


async def replayed(tmp_path, client):
    """The chunks that a replay in another workspace sends."""
    model = side(tmp_path, replaying=True)
    try:
        return await read(client, address(model, "http://127.0.0.1:9", work="/now/work"))
    finally:
        await asyncio.to_thread(model.stop)
        await asyncio.to_thread(model.close)


async def test_chunks_pass_while_they_come_and_keep_their_bounds(tmp_path, upstream, client):
    upstream.chunks = [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n", b"data: 3\r\n\r\n"]
    # Would hang if the gateway read the stream whole: the next is sent when this one has come.
    async with asyncio.timeout(10):
        assert await recorded(tmp_path, upstream, client) == upstream.chunks
    model = side(tmp_path, replaying=True)
    assert await read(client, address(model, "http://127.0.0.1:9")) == upstream.chunks
    assert model.unplayed() is None
    await asyncio.to_thread(model.stop)


async def test_connection_that_broke_breaks_again(tmp_path, upstream, client):
    upstream.chunks, upstream.breaks = [b"data: 1\r\n\r\n"], True
    with pytest.raises(aiohttp.ClientError):
        await recorded(tmp_path, upstream, client)
    model = side(tmp_path, replaying=True)
    with pytest.raises(aiohttp.ClientError):
        await read(client, address(model, "http://127.0.0.1:9"))
    await asyncio.to_thread(model.stop)


async def test_request_and_answer_are_kept_without_secrets(tmp_path, upstream, client):
    upstream.chunks = [b'data: {"text": "AIza' + b"x" * 35 + b' in /then/work"}\r\n\r\n']
    body = b'{"contents": "in /then/work", "apiKey": "abc-123456"}'
    (sent,) = await recorded(tmp_path, upstream, client, body)
    assert sent == upstream.chunks[0]
    assert upstream.bodies[0][1]["X-Goog-Api-Key"] == "k"
    text = (tmp_path / "model.yaml").read_text()
    for secret in ("AIza", "abc-123456", "key-123456", "s=1", "/then/work"):
        assert secret not in text
    model = side(tmp_path, replaying=True)
    url = address(model, "http://127.0.0.1:9", work="/now/work")
    (chunk,) = await read(client, url, b'{"contents": "in /now/work", "apiKey": "other-1"}')
    assert b"/now/work" in chunk
    await asyncio.to_thread(model.stop)


async def test_model_that_moved_answers_again(tmp_path, upstream, client):
    """The harness would follow the redirect past the recording, with the key."""
    upstream.moved = {"/v1/m:go": f"{upstream.url}/v2/m:go?alt=sse"}
    upstream.chunks = [b"data: 1\r\n\r\n"]
    assert await recorded(tmp_path, upstream, client, b'{"a": 1}') == upstream.chunks
    assert [(path, body) for path, _, body in upstream.bodies] == [
        ("/v1/m:go?alt=sse", b'{"a": 1}'),
        ("/v2/m:go?alt=sse", b'{"a": 1}'),
    ]
    model = side(tmp_path, replaying=True)
    again = await read(client, address(model, "http://127.0.0.1:9"), b'{"a": 1}')
    assert again == upstream.chunks
    await asyncio.to_thread(model.stop)


async def test_server_that_is_not_there_is_not_there_again(tmp_path, client):
    model = side(tmp_path, replaying=False)
    with pytest.raises(aiohttp.ClientError):
        await read(client, address(model, "http://127.0.0.1:9"))
    await asyncio.to_thread(model.stop)
    model.save()
    model = side(tmp_path, replaying=True)
    with pytest.raises(aiohttp.ClientError):
        await read(client, address(model, "http://127.0.0.1:9"))
    assert model.unplayed() is None
    assert model.errors == []
    await asyncio.to_thread(model.stop)


async def test_headers_pass_and_are_kept(tmp_path, upstream):
    """Long ones, too: aiohttp's own limit is 8 kB."""
    upstream.headers = {"X-RateLimit-Remaining": "41", "X-Long": "x" * 20_000}
    upstream.chunks = [b"data: 1\r\n\r\n"]

    async def asked(model, url):
        async with (
            aiohttp.ClientSession(max_field_size=2**20) as client,
            client.post(f"{address(model, url)}/v1/m:go", data=b"{}") as answer,
        ):
            upstream.next.set()
            await answer.read()
            return answer.headers["X-RateLimit-Remaining"], len(answer.headers["X-Long"])

    model = side(tmp_path, replaying=False)
    recorded = await asked(model, upstream.url)
    await asyncio.to_thread(model.stop)
    model.save()
    model = side(tmp_path, replaying=True)
    assert await asked(model, "http://127.0.0.1:9") == recorded == ("41", 20_000)
    await asyncio.to_thread(model.stop)


async def test_doubled_length_of_a_body_passes(tmp_path, client):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = side(tmp_path, replaying=False)
        found = await read(client, address(model, f"http://127.0.0.1:{port}"))
        await asyncio.to_thread(model.stop)
    assert found == [b"hello"]


async def test_key_that_is_learned_later_is_taken_out_in_the_end(tmp_path, upstream, client):
    redactor = Redactor(environ={})
    model = ModelRecorder(tmp_path, redactor, replaying=False)
    model.start()
    upstream.chunks = [b"data: loop-key-", b"9 is it\r\n\r\n"]
    await read(client, address(model, upstream.url), on_chunk=upstream.next.set)
    await asyncio.to_thread(model.stop)
    while not await asyncio.to_thread((tmp_path / EPISODES).exists):
        pass
    redactor.learn("loop-key-9")
    model.save()
    (found,) = read_model(tmp_path)
    assert found["response"]["body"]["string"] == "data: {{agy:secret}} is it\r\n\r\n"


async def test_body_that_is_no_text_survives(tmp_path, upstream, client):
    upstream.chunks = [gzip.compress(b"hello"), b"\xff\xfe\x00"]
    body = b"\x00\xff\xfe binary"
    sent = await recorded(tmp_path, upstream, client, body)
    model = side(tmp_path, replaying=True)
    again = await read(client, address(model, "http://127.0.0.1:9"), body)
    assert b"".join(again) == b"".join(sent) == b"".join(upstream.chunks)
    await asyncio.to_thread(model.stop)


async def test_same_request_twice_gets_both_answers_in_order(tmp_path, upstream, client):
    model = side(tmp_path, replaying=False)
    url = address(model, upstream.url)
    for text in (b"one", b"two"):
        upstream.chunks = [text]
        await read(client, url, on_chunk=upstream.next.set)
    await asyncio.to_thread(model.stop)
    model.save()
    model = side(tmp_path, replaying=True)
    url = address(model, "http://127.0.0.1:9")
    assert [await read(client, url) for _ in range(2)] == [[b"one"], [b"two"]]
    async with client.post(f"{url}/v1/m:go?alt=sse", data=b"{}") as response:
        assert response.status == 400
    assert "more often than was recorded" in str(model.errors[0])
    await asyncio.to_thread(model.stop)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "interactions: 5", "{", "!!python/object/apply:os.system ['echo gotcha > gotcha']"],
)
def test_file_that_is_no_vcr_cassette_is_explained_and_never_run(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(CassetteInvalidError):
        ModelRecorder(tmp_path, Redactor(environ={}), replaying=True).open()
    assert not (tmp_path / "gotcha").exists()


async def test_body_that_was_edited_by_hand_is_sent_whole(tmp_path, upstream, client):
    upstream.chunks = ["data: {} {}ü\r\n\r\n".format(n, "x" * n).encode() for n in range(3)]
    await recorded(tmp_path, upstream, client)
    file = tmp_path / "model.yaml"
    file.write_text(file.read_text().replace("0 ", "0 in {{agy:workspace-0}}/with/more/text "))
    got = await replayed(tmp_path, client)
    expected = b"".join(upstream.chunks).replace(b"0 ", b"0 in /now/work/with/more/text ")
    assert b"".join(got) == expected


async def test_path_in_a_chunk_that_cuts_a_character_is_translated(tmp_path, upstream, client):
    text = "data: in /then/work ü\r\n\r\n".encode()
    cut = text.index("ü".encode()) + 1
    upstream.chunks = [text[:cut], text[cut:]]
    await recorded(tmp_path, upstream, client)
    got = await replayed(tmp_path, client)
    assert b"".join(got) == text.replace(b"/then/work", b"/now/work")


async def ask(client, model, text, **options):
    url = address(model, "http://127.0.0.1:9")
    return b"".join(await read(client, url, json.dumps({"text": text}).encode(), **options))


async def test_answer_of_the_equal_request_comes_before_that_of_a_similar_one(
    tmp_path, upstream, client
):
    model = side(tmp_path, replaying=False)
    url = address(model, upstream.url)
    for words in ("key abc-123456", "key other"):
        upstream.chunks = [words.encode()]
        body = json.dumps({"text": words}).encode()
        await read(client, url, body, upstream.next.set)
    await asyncio.to_thread(model.stop)
    model.save()
    file = tmp_path / "model.yaml"
    file.write_text(file.read_text().replace("abc-123456", "{{agy:secret}}"))
    model = side(tmp_path, replaying=True)
    try:
        assert await ask(client, model, "key other") == b"key other"
        assert await ask(client, model, "key xyz") == b"key {{agy:secret}}"
    finally:
        await asyncio.to_thread(model.stop)
        await asyncio.to_thread(model.close)


async def test_secret_of_a_frame_is_known_before_the_request_that_has_it(
    tmp_path, upstream, client
):
    secret = "s3cr3t-v4lu3-0001"
    model = side(tmp_path, replaying=False)
    model._redactor.learn(secret)
    upstream.chunks = [b"ok"]
    body = json.dumps({secret: 1}).encode()
    await read(client, address(model, upstream.url), body, upstream.next.set)
    await asyncio.to_thread(model.stop)
    model.save()
    assert secret not in (tmp_path / "model.yaml").read_text()
    model = side(tmp_path, replaying=True)
    try:
        model.learner.put(0, "client", 0.0, json.dumps({"config": {"apiKey": secret}}))
        got = await read(client, address(model, "http://127.0.0.1:9"), body)
    finally:
        await asyncio.to_thread(model.stop)
        await asyncio.to_thread(model.close)
    assert got == [b"ok"]


def test_folders_and_ids_are_translated_there_and_back():
    then, now = "0" * 32, "1" * 32

    def paths(work):
        folders = {"workspace:0": work, "app-data": "/w"}.items()
        return SessionPaths(folders, Redactor(environ={}, places={"{{agy:tmp}}": "/nowhere"}))

    def answer(work, conversation):
        call = {"path": f"{work}/c", "inner": json.dumps({"x": f"/w/{conversation}/d"})}
        return f"data: {json.dumps({'call': call, 'text': '/weather'}, ensure_ascii=False)}\n\n"

    marked = paths('/w/a"b').text(answer('/w/a"b', then)[6:])
    assert "/w/" not in marked
    assert "/weather" in marked
    length = len(f"data: {marked}".encode())
    body, chunks = paths("/ä b\\c").restored(
        f"data: {marked}",
        [[10, 0.5], [length - 10, 0.25]],
        recorded=f"id {then}",
        asked=f"id {now}",
    )
    assert json.loads(body[6:]) == json.loads(answer("/ä b\\c", now)[6:])
    assert sum(size for size, _ in chunks) == len(body.encode())


def test_home_and_temporary_folder_are_those_of_this_machine():
    paths = SessionPaths((), Redactor(environ={}))
    marked = paths.text(json.dumps({"home": f"{Path.home()}/x", "tmp": gettempdir()}))
    assert json.loads(marked) == {"home": "{{agy:home}}/x", "tmp": "{{agy:tmp}}"}
    for body in (marked, f"data: {marked}\n\n"):
        restored, _ = paths.restored(body, [[len(body), 0.0]], recorded="", asked="")
        assert "{{agy:" not in restored
        assert f"{Path.home()}/x" in restored


async def test_gateway_answers_nobody_who_does_not_know_its_token(tmp_path, upstream, client):
    model = side(tmp_path, replaying=False)
    try:
        known = address(model, upstream.url)
        root, _, rest = known.rpartition("/0/")[0].rpartition("/")
        for url in (f"{root}/0/0/v1", f"{root}/guess/0/0/v1", f"{root}/{rest}/0/7/v1"):
            async with client.post(url) as answer:
                assert answer.status == 404
        assert upstream.bodies == []
    finally:
        await asyncio.to_thread(model.stop)
