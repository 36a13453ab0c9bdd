"""`--agy-block-network`: this machine can be reached, no other."""

import socket

import pytest

from agy_nb.pytest_plugin import network
from agy_nb.pytest_plugin.errors import NetworkBlockedError
from agy_nb.pytest_plugin.network import AllowedHosts

ATTEMPTS = (
    "socket.create_connection(('192.0.2.1', 9), timeout=1)",
    "with socket.socket() as s: s.connect_ex(('192.0.2.1', 9))",
    "with socket.socket(socket.AF_INET6) as s: s.connect(('2001:db8::1', 9))",
    "with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b'x', ('192.0.2.1', 9))",
    "with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendmsg([b'x'], [], 0, ('192.0.2.1', 9))",
    "socket.getaddrinfo('example.org', 443)",
    "socket.gethostbyaddr('192.0.2.1')",
    "socket.getnameinfo(('192.0.2.1', 9), 0)",
    "socket.getaddrinfo(b'example.org', 443)",
    "socket.gethostbyname('example.org')",
    "urllib.request.urlopen('http://example.org/')",
    "asyncio.run(asyncio.open_connection('192.0.2.1', 9))",
    "asyncio.run(asyncio.open_connection('example.org', 9))",
)

TEST = """
import asyncio, socket, urllib.request
import pytest

@pytest.mark.parametrize("attempt", {attempts})
def test_reaches_out(attempt):
    exec(attempt)
"""


@pytest.mark.slow
@pytest.mark.parametrize("asked", [["--agy-block-network"], ["-o", "agy_block_network=true"]])
def test_other_machines_cannot_be_reached(suite, run, asked):
    suite.makepyfile(TEST.format(attempts=list(ATTEMPTS)))
    result = run(*asked, "-W", "ignore::ResourceWarning")
    result.assert_outcomes(failed=len(ATTEMPTS))
    said = [line for line in result.outlines if line.startswith("E ") and "is refused" in line]
    assert [line for line in said if "NetworkBlockedError: --agy-block-network: " not in line] == []
    assert len(said) == len(ATTEMPTS)


def test_fixtures_are_tests_too(suite, run):
    suite.makepyfile(
        """
        import pytest, socket

        @pytest.fixture(scope="module")
        def far():
            return socket.create_connection(("192.0.2.1", 9), timeout=1)

        def test_reaches_out(far): pass
        """
    )
    run("--agy-block-network").assert_outcomes(errors=1)


def test_this_machine_can_be_reached_sync_and_async(suite, run):
    suite.makepyfile(
        """
        import asyncio, os, socket, tempfile
        import pytest

        @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
        def test_sync(host):
            with socket.create_server(("0.0.0.0", 0)) as server:
                socket.create_connection((host, server.getsockname()[1]), timeout=5).close()

        def test_async():
            async def both():
                server = await asyncio.start_server(lambda r, w: w.close(), "localhost", 0)
                async with server:
                    port = server.sockets[0].getsockname()[1]
                    reader, writer = await asyncio.open_connection("localhost", port)
                    assert await reader.read() == b""
                    writer.close()
                    await writer.wait_closed()
            asyncio.run(both())

        def test_without_the_internet(tmp_path):
            one, other = socket.socketpair()
            with one, other:
                one.sendall(b"x")
                assert other.recv(1) == b"x"
        """
    )
    run("--agy-block-network").assert_outcomes(passed=5)


@pytest.mark.slow
def test_processes_that_heed_a_proxy_reach_this_machine_only(suite, run):
    suite.makepyfile(
        """
        import http.server, os, shlex, subprocess, sys, threading, urllib.request
        import pytest

        FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).status)"

        def fetched(url, **how):
            command = [sys.executable, "-c", FETCH, url]
            return subprocess.run(command, capture_output=True, text=True, **how)

        @pytest.mark.parametrize("how", [{}, {"env": {}}, {"env": None}])
        def test_far(how):
            result = fetched("http://192.0.2.1/", **how)
            assert "Connection refused" in result.stderr

        @pytest.mark.parametrize("start", ["system", "spawnv", "posix_spawn"])
        def test_far_from_a_process_that_is_started_another_way(start, tmp_path):
            said = tmp_path / "said"
            program = "import sys; sys.stderr = open(sys.argv.pop(), 'w'); " + FETCH
            command = [sys.executable, "-c", program, "http://192.0.2.1/", str(said)]
            if start == "system":
                os.system(shlex.join(command))
            elif start == "spawnv":
                os.spawnv(os.P_WAIT, command[0], command)
            else:
                os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)
            assert "Connection refused" in said.read_text()

        def test_near():
            with http.server.HTTPServer(
                ("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler
            ) as server:
                threading.Thread(target=server.handle_request).start()
                assert fetched(f"http://127.0.0.1:{server.server_port}/").stdout == "200\\n"
        """
    )
    run("--agy-block-network").assert_outcomes(passed=7)


@pytest.mark.real
@pytest.mark.blocking_allowed
def test_harness_reaches_no_model_elsewhere(suite, run):
    suite.makepyfile(
        test_a="""
        import pytest
        import agy_nb as agy
        from google.antigravity import types

        @pytest.fixture
        def agy_agent_settings(monkeypatch):
            monkeypatch.setenv("GEMINI_API_KEY", "x" * 39)
            once = types.ModelAPIRetryConfig(max_retries=1, initial_sleep_duration_ms=1)
            return {"config": {"retry_config": types.RetryConfig(api_retry=once)}}

        def test_talk(agy_agent):
            with pytest.raises(agy.BackendError, match="proxyconnect.*127.0.0.1:9"):
                agy_agent.sync.chat_text("Hello")
        """
    )
    run("--agy-block-network").assert_outcomes(passed=1)


def test_nothing_is_blocked_unless_asked_for(suite, run):
    suite.makepyfile(
        """
        import socket

        def test_a():
            assert "agy_nb.pytest_plugin" not in socket.getaddrinfo.__module__
        """
    )
    run().assert_outcomes(passed=1)
    run("--agy-block-network").assert_outcomes(failed=1)


def test_block_leaves_nothing_behind():
    before = [socket.socket.connect, socket.socket.sendto, socket.getaddrinfo]
    with network.blocked():
        assert socket.socket.connect is not before[0]
    assert [socket.socket.connect, socket.socket.sendto, socket.getaddrinfo] == before


@pytest.mark.real
@pytest.mark.blocking_allowed
def test_replay_needs_no_network(suite, run):
    suite.makepyfile(
        test_a="""
        import pytest

        @pytest.mark.agy_cassette
        def test_talk(agy_agent):
            assert "Hello" in agy_agent.sync.chat_text("Hello")
        """
    )
    run("--agy-block-network").assert_outcomes(passed=1)  # records: the echo model is here
    run("--agy-block-network", "--agy-record-mode=none").assert_outcomes(passed=1)


@pytest.mark.blocking_allowed
def test_marked_test_without_a_cassette_reaches_nothing(suite, run):
    suite.makepyfile(
        test_a="""
        import pytest, requests

        def ask():
            with pytest.raises(Exception) as caught:
                requests.get("http://192.0.2.1/sky", timeout=1)
            assert "192.0.2.1" in str(caught.value) and "agy-block-network" in str(caught.value)

        @pytest.mark.agy_cassette(tool_http=True, allow_unplayed=True)
        def test_marked():
            ask()

        def test_unmarked():
            ask()
        """
    )
    for mode in ("once", "all"):
        result = run("--agy-block-network", f"--agy-record-mode={mode}")
        result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        (None, True),
        ("", True),
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        (b"localhost", True),
        ("localhost.example.org", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_what_this_machine_is(host, here):
    assert network.is_loopback(host) is here


def test_host_that_is_named_is_allowed_with_the_addresses_that_it_has():
    hosts = AllowedHosts(["Intranet.example", "10.0.0.9"])
    hosts.require("the look-up of", "intranet.example")
    with pytest.raises(NetworkBlockedError, match=r"a connection to 10\.0\.0\.7:80 is refused"):
        hosts.require("a connection to", "10.0.0.7", 80)
    hosts.learn("intranet.example", [(2, 1, 6, "", ("10.0.0.7", 80))])
    hosts.learn("example.org", [(2, 1, 6, "", ("10.0.0.8", 80))])
    hosts.require("a connection to", "10.0.0.7", 80)
    hosts.require("a connection to", "10.0.0.9", 80)
    with pytest.raises(NetworkBlockedError, match="--agy-allow-hosts"):
        hosts.require("a connection to", "10.0.0.8", 80)


@pytest.mark.parametrize(
    "arguments",
    [("--agy-allow-hosts=intranet.example, b",), ("-o", "agy_allow_hosts=intranet.example b")],
)
def test_allowed_hosts_are_named_on_the_command_line_or_in_the_ini_file(suite, run, arguments):
    suite.makepyfile("""
import os, socket, subprocess, sys
import pytest
from agy_nb.errors import NetworkBlockedError

socket.getaddrinfo = lambda host, *rest, **options: [(2, 1, 6, "", ("10.0.0.7", 80))]

def test_allowed():
    assert socket.getaddrinfo("intranet.example", 80)

def test_other():
    with pytest.raises(NetworkBlockedError):
        socket.getaddrinfo("example.org", 80)

def test_child():
    show = "import os; print(os.environ['NO_PROXY'])"
    shown = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout
    assert shown.strip() == "localhost,127.0.0.1,::1,intranet.example,b"
""")
    run("--agy-block-network", *arguments).assert_outcomes(passed=3)


def test_address_of_an_allowed_host_is_allowed_once_it_was_looked_up(monkeypatch):
    address = ("192.0.2.7", 80)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]
    connected = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    monkeypatch.setattr(socket.socket, "connect", lambda _self, to: connected.append(to))
    with network.blocked(["allowed.example"]), socket.socket() as sock:
        with pytest.raises(NetworkBlockedError):
            sock.connect(address)
        socket.getaddrinfo("allowed.example", 80)
        sock.connect(address)
    assert connected == [address]
