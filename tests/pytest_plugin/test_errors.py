"""What the plugin raises can be caught by its name, and says where and what."""

import socket

import pytest

import agy_nb as agy
from agy_nb.pytest_plugin.errors import InvalidMarkerError, NetworkBlockedError, NoAsyncPluginError
from agy_nb.pytest_plugin.network import blocked


def connect(host, port):
    with socket.socket() as sock:
        sock.connect((host, port))


@pytest.mark.parametrize(
    ("reach", "host"),
    [
        (lambda: socket.getaddrinfo("example.invalid", 443), "example.invalid"),
        (lambda: connect("192.0.2.1", 9), "192.0.2.1:9"),
    ],
    ids=["look-up", "connection"],
)
def test_refused_host_is_named(reach, host):
    with blocked(), pytest.raises(NetworkBlockedError) as caught:
        reach()
    assert caught.value.host == host
    assert host in str(caught.value)
    assert isinstance(caught.value, agy.AgyError)


@pytest.mark.parametrize(
    ("marker", "words", "field"),
    [
        ("name=''", "use text such as", "name"),
        ("'../up'", "leads out of", "name"),
        ("path='x'", "takes `name`, not `path`", "agy_cassette"),
        ("'a', 'once', True, 4", "positional arguments", "agy_cassette"),
    ],
)
def test_marker_that_cannot_be_read_is_invalid_input(suite, run, marker, words, field):
    suite.makeconftest(
        """
        import pytest
        from agy_nb.pytest_plugin.errors import InvalidMarkerError

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.excinfo and isinstance(call.excinfo.value, InvalidMarkerError):
                print("the field is", call.excinfo.value.field)
            return (yield)
        """
    )
    suite.makepyfile(
        f"""
        import pytest

        @pytest.mark.agy_cassette({marker})
        def test_it():
            pass
        """
    )
    result = run("-s")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*the field is {field}*", f"*{words}*"])
    assert issubclass(InvalidMarkerError, agy.InvalidInputError)


def test_async_test_that_nothing_runs_says_what_to_install(suite, run):
    suite.makeconftest(
        """
        import pytest
        from agy_nb.pytest_plugin.errors import NoAsyncPluginError

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.excinfo and isinstance(call.excinfo.value, NoAsyncPluginError):
                print("no plugin for", item.name)
            return (yield)
        """
    )
    suite.makepyfile("async def test_it(agy_runtime):\n    pass\n")
    result = run("-s", "-pno:asyncio", "-pno:anyio")
    result.stdout.fnmatch_lines(["*no plugin for test_it*", "*Install pytest-asyncio*"])
    assert issubclass(NoAsyncPluginError, agy.AgyError)
