"""The pytest plugin: tests with recorded sessions.

```
options    command line, ini settings, CI
marker     what `@pytest.mark.agy_cassette` asks for, and where the test's cassette lies
playing    a test in its cassette: opened before its fixtures, checked with its call
  showing  what it has to say, without our own lines
network    --agy-block-network
unused     the report of cassettes that no test uses
fixtures   agy_runtime, agy_agent, scripted_model
  home     the loop that a test's agents live on
```

Rule 1: pytest loads this in every run where agy_nb is installed, so nothing here imports the SDK,
vcrpy, pandas or a server before a test asks for it.
Rule 2: what goes wrong in a replay fails the test, in words; nothing is an internal error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agy_nb.pytest_plugin import fixtures, lifecycle, marker, network, test_loop, unused
from agy_nb.pytest_plugin.plugin_options import PluginSettings, pytest_addoption, settings_of

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_report_header"]


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and add the parts that they ask for."""
    settings = config.stash[settings_of] = PluginSettings.read(config)
    config.addinivalue_line("markers", marker.DESCRIPTION)
    parts = [lifecycle, fixtures, test_loop.homes(config)]
    if settings.block_network:
        parts.append(network)
    if settings.unused != "off":
        parts.append(unused)
    for part in parts:
        config.pluginmanager.register(part, part.__name__)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Tell what was set on the command line."""
    settings = config.stash[settings_of]
    said = []
    if settings.record_mode:
        said.append(f"record mode {settings.record_mode}")
    if settings.block_network:
        said.append("network blocked")
    return f"agy_nb: {', '.join(said)}" if said else None
