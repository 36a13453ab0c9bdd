"""Settings from the command line, the ini file and `CI`, as one frozen value.

The command line overrides a marker, a marker overrides an ini setting, and each overrides `CI`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import pytest

RECORD_MODES = ("once", "none", "new_episodes", "all", "rewrite")
UNUSED = ("report", "fail", "off")
_Kind: TypeAlias = Literal["args", "linelist", "bool"]
_OPTIONS: dict[str, tuple[_Kind, str, Any]] = {
    "redact": ("linelist", "redaction rules: regular expressions, or JSON paths from $", []),
    "normalize": ("args", "values that do not count: uuid, datetime, port, hex_address", []),
    "ignore": ("linelist", "paths in frames that may differ", []),
    "match_on": ("args", "what must match: config, prompt, result, approval, question, hook", []),
    "allow_values": ("linelist", "texts that redaction keeps", []),
    "record_model": ("bool", "whether requests to the model are recorded", True),
    "record_media": ("bool", "whether images, audio, video and PDF stay in recordings", True),
    "share_texts": ("bool", "whether cassettes of a folder share repeated texts", True),
    "tool_http": ("bool", "whether HTTP requests of host tools are recorded", False),
    "restore_files": ("bool", "whether replays write the files that the harness wrote", False),
}
"""Arguments of `use_cassette` that ini settings give to all tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the ini settings of the same names."""
    group = parser.getgroup("agy_nb", "recorded sessions of agents (agy_nb)")
    group.addoption(
        "--agy-record-mode",
        choices=RECORD_MODES,
        help="once (default): replay, or record if it is missing; none (default if CI is "
        "set): only replay; new_episodes: replay, and record new agents; all or rewrite: record "
        "again",
    )
    group.addoption(
        "--agy-block-network",
        action="store_true",
        help="let tests connect to this machine only",
    )
    group.addoption(
        "--agy-allow-hosts",
        metavar="HOSTS",
        help="with --agy-block-network: other machines to which tests can connect, with commas",
    )
    group.addoption(
        "--agy-cassette-dir",
        metavar="DIR",
        help="keep all cassettes below DIR instead of next to the tests",
    )
    group.addoption(
        "--agy-echo",
        action="store_true",
        help="with --agy-record-mode=all: record the echo model, which answers without a key",
    )
    group.addoption(
        "--agy-unused",
        choices=UNUSED,
        help="how to treat cassettes that no test uses (default: report)",
    )
    parser.addini("agy_record_mode", "default of --agy-record-mode", default="")
    parser.addini("agy_block_network", "default of --agy-block-network", type="bool", default=False)
    parser.addini("agy_allow_hosts", "default of --agy-allow-hosts", type="args", default=[])
    parser.addini("agy_cassette_dir", "default of --agy-cassette-dir, from this file", default="")
    parser.addini("agy_echo", "default of --agy-echo", type="bool", default=False)
    for name, (kind, help_, default) in _OPTIONS.items():
        parser.addini(f"agy_{name}", help_, type=kind, default=default)
    parser.addini("agy_unused", "default of --agy-unused", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """The settings of a run, from the command line, the ini file and the environment.

    Attributes:
        record_mode: Record mode of every test, from the command line, or None.
        default_mode: Record mode of tests whose marker names none.
        default_by_ci: Whether `CI` is the reason for `default_mode`.
        block_network: Whether tests can connect to this machine only.
        allow_hosts: Other machines to which they can connect nevertheless.
        cassette_dir: Folder of all cassettes; None for a folder next to each test.
        unused: How to treat cassettes that no test uses: `report`, `fail`, `off`.
        options: Arguments of `use_cassette` for all tests, from the ini settings.
        echo: Whether the echo model may be recorded, for tests whose marker does not say it.
    """

    record_mode: str | None = None
    default_mode: str = "once"
    default_by_ci: bool = False
    block_network: bool = False
    allow_hosts: tuple[str, ...] = ()
    cassette_dir: Path | None = None
    unused: str = "report"
    options: Mapping[str, Any] = field(default_factory=dict)
    echo: bool = False

    @classmethod
    def read(cls, config: pytest.Config) -> Self:
        """Read the settings of a run.

        Raises:
            pytest.UsageError: An ini setting has an unknown value.
        """
        by_ini = _one_of(config, "agy_record_mode", RECORD_MODES)
        return cls(
            record_mode=config.getoption("--agy-record-mode"),
            default_mode=by_ini or ("none" if in_ci() else "once"),
            default_by_ci=in_ci() and not by_ini,
            block_network=config.getoption("--agy-block-network")
            or config.getini("agy_block_network"),
            allow_hosts=_hosts(config),
            cassette_dir=_cassette_dir(config),
            unused=config.getoption("--agy-unused")
            or _one_of(config, "agy_unused", UNUSED)
            or "report",
            options=_options(config),
            echo=config.getoption("--agy-echo") or config.getini("agy_echo"),
        )


def in_ci() -> bool:
    """Return whether `CI` is set, as continuous integration does."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


settings_of: pytest.StashKey[PluginSettings] = pytest.StashKey[PluginSettings]()
"""Key of the settings in the stash of pytest's `config`."""


def _one_of(config: pytest.Config, name: str, allowed: tuple[str, ...]) -> str:
    value = str(config.getini(name))
    if value and value not in allowed:
        raise pytest.UsageError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _options(config: pytest.Config) -> dict[str, Any]:
    """Return the arguments of `use_cassette` that differ from its defaults.

    Raises:
        pytest.UsageError: A rule is not a regular expression.
    """
    found = {name: config.getini(f"agy_{name}") for name in _OPTIONS}
    found["redact"] = [_rule(text) for text in found["redact"]]
    return {name: value for name, value in found.items() if value != _OPTIONS[name][2]}


def _rule(text: str) -> str | re.Pattern[str]:
    if text.startswith("$"):
        return text
    try:
        return re.compile(text)
    except re.error as error:
        raise pytest.UsageError(
            f"agy_redact: {text!r} is not a regular expression: {error}"
        ) from error


def _hosts(config: pytest.Config) -> tuple[str, ...]:
    given = config.getoption("--agy-allow-hosts")
    names = given.split(",") if given else config.getini("agy_allow_hosts")
    return tuple(name for each in names if (name := each.strip(" ,")))


def _cassette_dir(config: pytest.Config) -> Path | None:
    given = config.getoption("--agy-cassette-dir")
    if given:
        return Path(os.path.abspath(config.invocation_params.dir / given))  # noqa: PTH100 - keeps links
    by_ini = str(config.getini("agy_cassette_dir"))
    if not by_ini:
        return None
    base = config.inipath.parent if config.inipath else config.rootpath
    return Path(os.path.abspath(base / by_ini))  # noqa: PTH100 - as above
