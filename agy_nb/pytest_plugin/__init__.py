"""The pytest plugin: tests with recorded sessions.

```
plugin_options  command line, ini settings, CI
cassette_names  the name of a test's cassette
marker          reads `@pytest.mark.agy_cassette` and finds the test's cassette
scopes          cassettes of a class, a module or the session
tmp_folders     marks for pytest's temporary folders
lifecycle       opens a test's cassette before its fixtures, and checks it after the call
report          failures without agy_nb's own traceback, briefly; cassettes that no test uses,
                cassettes and tests that the echo model answered, cassettes that lost sessions
shared_cassettes  which tests of a run recorded into which cassette
network         --agy-block-network
fixtures        agy_runtime, agy_agent, scripted_model
test_loop       the event loop of a test's agents
```

pytest loads this package in every run where agy_nb is installed. So it imports the SDK, vcrpy,
pandas and servers only when a test needs them. A failed replay fails the test; it is never an
internal error of pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agy_nb.pytest_plugin import (
    cassette_names,
    fixtures,
    lifecycle,
    marker,
    network,
    scopes,
    test_loop,
    tmp_folders,
)
from agy_nb.pytest_plugin.plugin_options import PluginSettings, pytest_addoption, settings_of
from agy_nb.pytest_plugin.report import echo_report, lost_sessions, unused
from agy_nb.pytest_plugin.report.same_differences import SameDifferences

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_report_header"]


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and register the parts that they need."""
    settings = config.stash[settings_of] = PluginSettings.read(config)
    config.addinivalue_line("markers", marker.DESCRIPTION)
    parts = [
        lifecycle,
        cassette_names,
        scopes,
        tmp_folders,
        echo_report,
        lost_sessions,
        fixtures,
        test_loop.loop_fixtures(config),
    ]
    if settings.block_network:
        parts.append(network)
    if settings.unused != "off":
        parts.append(unused)
    config.pluginmanager.register(SameDifferences(config), SameDifferences.__name__)
    config.pluginmanager.register(echo_report.EchoReport(config), "EchoReport")
    config.pluginmanager.register(lost_sessions.LostSessions(config), "LostSessions")
    for part in parts:
        config.pluginmanager.register(part, part.__name__)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Show the options that were set on the command line."""
    settings = config.stash[settings_of]
    shown = []
    if settings.record_mode:
        shown.append(f"record mode {settings.record_mode}")
    if settings.block_network:
        shown.append("network blocked")
    return f"agy_nb: {', '.join(shown)}" if shown else None
