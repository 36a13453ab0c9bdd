"""What holds for every test: a clean environment, no network, nothing blocks the event loop."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import pytest_timeout
from blockbuster import BlockBuster
from hypothesis import Phase, settings

from tests.processes import children, end_new_children, forgotten_pipes, threads_left
from tests.support.loaded import load_package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOAK = bool(os.environ.get("AGY_SOAK"))

# How long an example takes says more of the machine than of the code, so no example has a limit.
# CI reports the first failing example as it was found, with the line that repeats it: to make it
# small took hypothesis five minutes, and what it found meanwhile made the report unreadable.
settings.register_profile(
    "agy",
    deadline=None,
    max_examples=1_000 if SOAK else 30,
    print_blob=True,
    report_multiple_bugs=False,
    phases=[phase for phase in Phase if not (phase is Phase.shrink and os.environ.get("CI"))],
)
settings.load_profile("agy")

# Containers often forbid compiled files. Every process that a test starts would then compile pandas
# and the SDK again, which costs more than most of the tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Go's collector takes a quarter of the CPU time of a harness, most of it while the harness starts.
# The tests start thousands of them, each for a moment: let their heap grow up to a limit.
os.environ.setdefault("GOGC", "off")
os.environ.setdefault("GOMEMLIMIT", "300MiB")

# Debug loops report slow callbacks and calls from foreign threads. They also keep a stack of each
# future, task and callback, which takes a sixth of the suite's time. Set PYTHONASYNCIODEBUG=1 to
# see in a report where a task was made.
if not (sys.flags.dev_mode or os.environ.get("PYTHONASYNCIODEBUG")):
    asyncio.BaseEventLoop.get_debug = lambda _loop: False  # type: ignore[method-assign]

# A shell that starts the tests in the background has Ctrl-C ignored, also in all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Your environment may set these. No test may depend on them or use a key.
FOREIGN_VARIABLES = (
    "AGI_CHAT_TIMEOUT_SECS",
    "ANTIGRAVITY_HARNESS_PATH",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "VIRTUAL_ENV",
)

# Only calls with one of these on the stack count: what a test itself reads or writes is its affair.
WATCHED = ("agy_nb", "google.antigravity")

# (end of the file name, functions): where blocking is allowed, and why.
MAY_BLOCK = (
    # Debug loops format a traceback, which reads source files. Production loops do not.
    ("linecache.py", {"updatecache", "checkcache"}),
    # An import on first use reads files once in a process; the runtime does its own off the loop.
    ("<frozen importlib._bootstrap>", {"_find_and_load"}),
)

# What these tests start shares the machine with everything else, so that a limit of seconds can
# pass for no fault of ours. They have one more try; the report shows each as RERUN. Tests of plain
# data have none: there a second result would be a fault. Nor have measurements. To look for tests
# that fail by chance: `--reruns 0`.
HAVE_A_SECOND_TRY = ("real", "alone", "browser", "kernel_matrix")


# What has one of these waits for processes: `make quick` leaves it out.
WAITS_FOR_PROCESSES = {"cluster", "launcher", "next_release", "run_apart"}


# `-m "not alone"` or `-m "not (real or slow)"`: no test with one of these markers runs.
LEAVES_OUT = re.compile(r"not (?:(\w+)|\((\w+(?: or \w+)*)\))")
MARKS_OF_MODULE = re.compile(r"^pytestmark = (\[.*?\]$|.*?$)", re.MULTILINE | re.DOTALL)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a module whose own marker leaves all its tests out, such as in `make quick`."""
    expression = LEAVES_OUT.fullmatch(config.option.markexpr)
    if expression is None or not collection_path.name.startswith("test_"):
        return None
    marks = MARKS_OF_MODULE.search(collection_path.read_text(encoding="utf-8"))
    left_out = (expression[1] or expression[2]).split(" or ")
    if marks and re.search(rf"\bmark\.({'|'.join(left_out)})\b", marks[1]):
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not WAITS_FOR_PROCESSES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    if config.getoption("reruns") is not None:
        return
    for item in items:
        if "benchmarks" not in item.path.parts and any(
            item.get_closest_marker(name) for name in HAVE_A_SECOND_TRY
        ):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Watch for blocking calls, also in the fixtures of a module.

    A second try has a time limit of its own: pytest-timeout sets one limit for both.
    """
    freeze_what_is_loaded()
    watch_blocking_calls(item.config, watch=item.get_closest_marker("blocking_allowed") is None)
    if getattr(item, "execution_count", 1) > 1:
        limit = pytest_timeout._get_item_settings(item)
        item.ihook.pytest_timeout_cancel_timer(item=item)
        item.ihook.pytest_timeout_set_timer(item=item, settings=limit)


# The collector would spend seconds on modules and tests that are loaded now and kept to the end.
gc.disable()


def pytest_collection_finish() -> None:
    freeze_what_is_loaded()
    gc.enable()


_modules_frozen = 0


def freeze_what_is_loaded() -> None:
    """Let the collector skip the modules that were loaded since the last call, if they are many.

    pandas, the SDK and others are loaded by the first tests that use them. From then on, each full
    collection takes up to a quarter of a second, and hundreds of tests ask for one.
    """
    global _modules_frozen  # noqa: PLW0603 - one collector per process
    if len(sys.modules) > _modules_frozen + 50:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the SDK's, as in `forgotten_pipes`
            gc.collect()
        gc.freeze()
        _modules_frozen = len(sys.modules)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail a test that leaves a process or a thread behind, and end the process.

    Python's collector would find the process in some other test, which would fail in its place.
    Fixtures of a module or of the session end their own processes and threads.
    """
    processes, threads = children(), set(threading.enumerate())
    yield
    if left := end_new_children(processes):
        pytest.fail(f"the test left processes behind: {left}", pytrace=False)
    if alive := threads_left(threads):
        pytest.fail(f"the test left threads behind: {alive}", pytrace=False)


@pytest.fixture(scope="session")
def loaded_package() -> None:
    load_package()


@pytest.fixture
def pytester(loaded_package: None, pytester: pytest.Pytester) -> pytest.Pytester:
    """Run pytest in this process without loading the package twice."""
    return pytester


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take out variables of the developer, and those that the test sets and does not remove."""
    before = dict(os.environ)
    for name in FOREIGN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    for name in os.environ.keys() - before.keys() - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]


DETECTOR = pytest.StashKey[BlockBuster]()


def watch_blocking_calls(config: pytest.Config, *, watch: bool) -> None:
    """Fail a test in which our code or the SDK blocks the event loop.

    A test that must block carries `@pytest.mark.blocking_allowed` and says why. The detector stays
    active from one test to the next: to replace fifty functions twice costs as much as many a test.
    """
    detector = config.stash.get(DETECTOR, None)
    if detector is None:
        detector = config.stash[DETECTOR] = BlockBuster(_watched_modules())
        for function in detector.functions.values():
            for file, functions in MAY_BLOCK:
                function.can_block_in(file, functions)
    if watch:
        detector.activate()
    else:
        detector.deactivate()


def pytest_unconfigure(config: pytest.Config) -> None:
    if DETECTOR in config.stash:
        config.stash[DETECTOR].deactivate()


def _watched_modules() -> list[ModuleType]:
    """Where the watched packages lie, without importing them."""
    modules = []
    for name in WATCHED:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            module = ModuleType(name)
            module.__path__ = list(spec.submodule_search_locations)
            modules.append(module)
    return modules


class NetworkBlockedError(RuntimeError):
    """A test reached for a host that is not this machine."""


@pytest.fixture
def sdk_alone() -> Iterator[None]:
    """For tests of the SDK's own agents, which leave the pipes of their harness open."""
    with forgotten_pipes():
        yield


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Let this process reach loopback only; an attempt fails the test even where it is swallowed.

    Processes that a test starts are not covered: they get a loopback address in their settings.
    """
    attempts: list[str] = []

    def refuse(what: str) -> None:
        attempts.append(what)
        message = f"tests must not use the network: {what}"
        raise NetworkBlockedError(message)

    def guard_connect(original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
                refuse(f"connect to {address[0]}:{address[1]}")
            return original(self, address)

        return connect

    def guard_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            if not _is_loopback(host):
                refuse(f"look-up of {host}")
            return original(host, *args, **kwargs)

        return getaddrinfo

    # Undone here and not at the very end: other guards replace the same methods, and the one that
    # came last must go first, or each test leaves a wrapper behind until the stack overflows.
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard_connect(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", guard_lookup(socket.getaddrinfo))
        yield
    if attempts:
        pytest.fail(f"the test reached for the network: {', '.join(attempts)}", pytrace=False)


def _is_loopback(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if not host or host == "localhost":  # None and "" mean this machine
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture
def no_process(monkeypatch):
    """Return a function after whose call no process can be started."""

    def switch():
        def refuse(*args, **kwargs):
            raise AssertionError(f"a replay starts a process: {args}")

        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)

    return switch
