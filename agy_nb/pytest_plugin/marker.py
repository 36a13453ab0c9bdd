"""Reads `@pytest.mark.agy_cassette` and finds the cassette of a test.

The path is `<folder of the tests>/cassettes/<module>/<test>`, or, with a cassette directory,
`<directory>/<folder of the tests>/<module>/<test>`. Markers of a module and of a class apply to
their tests. The closest marker wins, argument by argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from agy_nb.pytest_plugin.cassette_names import cassette_name
from agy_nb.pytest_plugin.errors import InvalidMarkerError
from agy_nb.pytest_plugin.plugin_options import PluginSettings, settings_of

if TYPE_CHECKING:
    import pytest

MARKER = "agy_cassette"
CONFIG_FIXTURE = "agy_cassette_config"
DESCRIPTION = (
    f'{MARKER}(name=None, seam="wire", record_mode=None, scope="function", **options): record the '
    "agents of the test, or replay them; `scope` makes one cassette for all tests of a class, a "
    "module or the session; `options` are those of agy_nb.use_cassette"
)
SCOPES = ("function", "class", "module", "session")
_POSITIONAL = ("name", "seam", "record_mode")


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteRequest:
    """The cassette of a test and its options.

    Attributes:
        path: Its folder.
        mode: The record mode.
        by_ci: Whether `CI` is the reason for the mode.
        scope: The tests that the cassette covers: `function` for one test.
        shared_in: File or folder of the tests that can share the cassette, if the marker names it;
            None if only this test uses it.
        options: Further arguments of `use_cassette`.
    """

    path: Path
    mode: str
    by_ci: bool = False
    scope: str = "function"
    shared_in: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def request_of(item: pytest.Item) -> CassetteRequest | None:
    """Read the markers of a test; return None if it has none.

    Raises:
        InvalidMarkerError: A marker has wrong arguments.
    """
    asked = _arguments(item)
    if asked is None:
        return None
    settings = item.config.stash[settings_of]
    asked = _with_defaults(asked, settings.options, config_fixture(item))
    if settings.echo:
        asked.setdefault("echo", True)
    name, own_mode = asked.pop("name", None), asked.pop("record_mode", None)
    mode = settings.record_mode or own_mode or settings.default_mode
    scope = asked.pop("scope", "function")
    path, shared_in = _place(item, name, scope_node(item, scope), settings)
    return CassetteRequest(
        path=path,
        mode=mode,
        by_ci=settings.default_by_ci and not (settings.record_mode or own_mode),
        scope=scope,
        shared_in=shared_in,
        options=asked,
    )


def _with_defaults(asked: dict[str, Any], *defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a marker with defaults, of which later ones win.

    Rules of redaction add up, so that a test cannot lose a rule of the project by accident.
    """
    from agy_nb.cassette.cassette_options import items_of

    found: dict[str, Any] = {}
    rules: list[Any] = []
    for given in (*defaults, asked):
        found |= given
        if "redact" in given:
            rules += items_of("redact", given["redact"], kinds=())
    return found | ({"redact": rules} if rules else {})


def config_fixture(item: pytest.Item) -> Mapping[str, Any]:
    """Return what the fixture `agy_cassette_config` gives for a test.

    The cassette opens before the fixtures of a test, so pytest cannot set up this one: it is called
    as a function.

    Raises:
        InvalidMarkerError: The fixture uses other fixtures, or does not return a mapping.
    """
    manager = item.session._fixturemanager  # noqa: SLF001 - pytest has no public name for it
    found = manager.getfixturedefs(CONFIG_FIXTURE, item)
    if not found:
        return {}
    function, base = found[-1].func, found[-1].baseid
    given = {"pytestconfig": item.config, "self": getattr(item, "instance", None)}
    names = list(inspect.signature(function).parameters)
    if inspect.isgeneratorfunction(function) or not given.keys() >= set(names):
        raise InvalidMarkerError(
            f"the fixture {CONFIG_FIXTURE} of {base or 'a plugin'} must return its settings, and "
            "can use the fixture `pytestconfig` only: a cassette opens before other fixtures",
            field=CONFIG_FIXTURE,
        )
    options = function(*[given[name] for name in names])
    if not isinstance(options, Mapping):
        raise InvalidMarkerError(
            f"the fixture {CONFIG_FIXTURE} of {base or 'a plugin'} must return a dict of arguments "
            f"of agy_nb.use_cassette, got {options!r:.80}",
            field=CONFIG_FIXTURE,
        )
    return options


def scope_node(item: pytest.Item, scope: object) -> Any:
    """Return what a scope means for a test: the test itself, its class, its module, the session.

    Raises:
        InvalidMarkerError: The scope does not exist, or the test has no class.
    """
    import pytest

    kinds: dict[object, Any] = {
        "function": pytest.Item,
        "class": pytest.Class,
        "module": pytest.Module,
        "session": pytest.Session,
    }
    if scope not in SCOPES:
        raise InvalidMarkerError(
            f"the cassette of {item.nodeid} has the scope {scope!r}; "
            f"use one of {', '.join(SCOPES)}",
            field="scope",
        )
    node = item.getparent(kinds[scope])
    if node is None:
        raise InvalidMarkerError(
            f'the cassette of {item.nodeid} has the scope "{scope}", but the test is in none; '
            f'use scope="module"',
            field="scope",
        )
    return node


def _arguments(item: pytest.Item) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    for mark in item.iter_markers(MARKER):  # the closest one comes first
        if len(mark.args) > len(_POSITIONAL):
            raise InvalidMarkerError(
                f"@pytest.mark.{MARKER} of {item.nodeid} has {len(mark.args)} positional "
                f"arguments; pass {', '.join(_POSITIONAL)} by position, and the rest by keyword",
                field=MARKER,
            )
        given = dict(zip(_POSITIONAL, mark.args, strict=False))
        twice = given.keys() & mark.kwargs.keys()
        if twice or "path" in mark.kwargs:
            raise InvalidMarkerError(
                f"@pytest.mark.{MARKER} of {item.nodeid} "
                + (f"gives {', '.join(twice)} twice" if twice else "takes `name`, not `path`"),
                field=MARKER,
            )
        found = {**given, **mark.kwargs, **(found or {})}
    return found


def cassette_root(folder: Path, rootdir: Path, settings: PluginSettings) -> Path:
    """Return the folder of the cassettes of the tests in a folder; each module has a subfolder.

    Args:
        folder: The folder of the tests.
        rootdir: pytest's root directory.
        settings: The settings of the run.
    """
    if settings.cassette_dir is None:
        return folder / "cassettes"
    if folder.is_relative_to(rootdir):
        return settings.cassette_dir / folder.relative_to(rootdir)
    return settings.cassette_dir / folder.relative_to(folder.anchor)


def _place(
    item: pytest.Item, name: object, node: pytest.Item | pytest.Collector, settings: PluginSettings
) -> tuple[Path, Path | None]:
    """Return the folder of the cassette, and the file or folder of the tests that can share it."""
    import pytest

    root = cassette_root(item.path.parent, item.config.rootpath, settings)
    if name is None and isinstance(node, pytest.Session):
        return cassette_root(item.config.rootpath, item.config.rootpath, settings) / "session", None
    if name is None:
        return root / item.path.stem / cassette_name(node), None
    if not isinstance(name, str | Path) or not str(name).strip():
        raise InvalidMarkerError(
            f"the cassette of {item.nodeid} is named {name!r}; use text such as 'weather'",
            field="name",
        )
    path = Path(name)
    if path.is_absolute():
        return path, item.config.rootpath
    parts = PurePosixPath(path.as_posix()).parts
    if ".." in parts:
        raise InvalidMarkerError(
            f"the cassette of {item.nodeid} is named {str(name)!r}, which leads out of {root}; "
            "use a name without '..', an absolute path, or --agy-cassette-dir",
            field="name",
        )
    # Tests of a module share a plain name. Modules of a folder share a name with a folder.
    if len(parts) > 1:
        return root / path, item.path.parent
    return root / item.path.stem / path, item.path
