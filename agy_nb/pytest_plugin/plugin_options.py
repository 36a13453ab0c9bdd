"""Command line, ini settings and CI, as one frozen value.

Rule 1: the command line is stronger than a marker, a marker stronger than an ini setting, and all
three are stronger than `CI`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

RECORD_MODES = ("once", "none", "new_episodes", "all")
UNUSED = ("report", "fail", "off")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the ini settings of the same names."""
    group = parser.getgroup("agy_nb", "recorded sessions of agents (agy_nb)")
    group.addoption(
        "--agy-record-mode",
        choices=RECORD_MODES,
        help="how cassettes are used: once (the default) records what is not there, none (the "
        "default where CI is set) only replays, new_episodes adds, all records anew",
    )
    group.addoption(
        "--agy-block-network",
        action="store_true",
        help="let tests reach this machine only; loopback stays allowed",
    )
    group.addoption(
        "--agy-cassette-dir",
        metavar="DIR",
        help="keep all cassettes below DIR instead of beside the tests",
    )
    group.addoption(
        "--agy-unused",
        choices=UNUSED,
        help="what to do about cassettes that no test uses (default: report)",
    )
    parser.addini("agy_record_mode", "default of --agy-record-mode", default="")
    parser.addini("agy_block_network", "as --agy-block-network", type="bool", default=False)
    parser.addini("agy_cassette_dir", "as --agy-cassette-dir, from this file's folder", default="")
    parser.addini("agy_unused", "default of --agy-unused", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """What was asked for, from the command line, the ini file and the environment.

    Attributes:
        record_mode: From the command line; counts for every test. None where it was not given.
        default_mode: For tests whose marker names none.
        default_by_ci: Whether that is so because `CI` is set.
        block_network: Whether tests may reach this machine only.
        cassette_dir: Where all cassettes are, None for beside the tests.
        unused: What to do about cassettes that no test uses: `report`, `fail`, `off`.
    """

    record_mode: str | None = None
    default_mode: str = "once"
    default_by_ci: bool = False
    block_network: bool = False
    cassette_dir: Path | None = None
    unused: str = "report"

    @classmethod
    def read(cls, config: pytest.Config) -> Self:
        """The settings of a run.

        Raises:
            pytest.UsageError: An ini setting has a value that there is not.
        """
        by_ini = _one_of(config, "agy_record_mode", RECORD_MODES)
        in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        return cls(
            record_mode=config.getoption("--agy-record-mode"),
            default_mode=by_ini or ("none" if in_ci else "once"),
            default_by_ci=in_ci and not by_ini,
            block_network=config.getoption("--agy-block-network")
            or config.getini("agy_block_network"),
            cassette_dir=_cassette_dir(config),
            unused=config.getoption("--agy-unused")
            or _one_of(config, "agy_unused", UNUSED)
            or "report",
        )


settings_of = pytest.StashKey[PluginSettings]()
"""The settings in the stash of a run's `config`."""


def _one_of(config: pytest.Config, name: str, allowed: tuple[str, ...]) -> str:
    value = str(config.getini(name))
    if value and value not in allowed:
        raise pytest.UsageError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _cassette_dir(config: pytest.Config) -> Path | None:
    given = config.getoption("--agy-cassette-dir")
    if given:
        return Path(os.path.abspath(config.invocation_params.dir / given))  # noqa: PTH100 - keeps links
    by_ini = str(config.getini("agy_cassette_dir"))
    if not by_ini:
        return None
    base = config.inipath.parent if config.inipath else config.rootpath
    return Path(os.path.abspath(base / by_ini))  # noqa: PTH100 - as above
