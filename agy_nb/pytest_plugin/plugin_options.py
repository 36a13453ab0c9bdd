"""Settings from the command line, the ini file and `CI`, as one frozen value.

The command line overrides a marker, a marker overrides an ini setting, and each overrides `CI`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

RECORD_MODES = ("once", "none", "new_episodes", "all", "rewrite")
UNUSED = ("report", "fail", "off")


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
    parser.addini(
        "agy_normalize",
        "default of the marker's `normalize`: uuid, datetime, port, hex_address",
        type="args",
        default=[],
    )
    parser.addini("agy_echo", "default of --agy-echo", type="bool", default=False)
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
        normalize: Values that do not count in comparisons, for tests whose marker names none.
        echo: Whether the echo model may be recorded, for tests whose marker does not say it.
    """

    record_mode: str | None = None
    default_mode: str = "once"
    default_by_ci: bool = False
    block_network: bool = False
    allow_hosts: tuple[str, ...] = ()
    cassette_dir: Path | None = None
    unused: str = "report"
    normalize: tuple[str, ...] = ()
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
            normalize=tuple(config.getini("agy_normalize")),
            echo=config.getoption("--agy-echo") or config.getini("agy_echo"),
        )


def in_ci() -> bool:
    """Return whether `CI` is set, as continuous integration does."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


settings_of = pytest.StashKey[PluginSettings]()
"""Key of the settings in the stash of pytest's `config`."""


def _one_of(config: pytest.Config, name: str, allowed: tuple[str, ...]) -> str:
    value = str(config.getini(name))
    if value and value not in allowed:
        raise pytest.UsageError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


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
