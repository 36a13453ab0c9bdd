"""The name of a test's cassette, from the name of the test.

Rule 1: two tests never share a folder by accident. Some file systems do not distinguish upper and
lower case, so names that differ in nothing else get a digest. Whether they do depends only on the
code of the tests, not on the tests that a run selects.
Rule 2: plugins that run a test several times (pytest-repeat, pytest-flakefinder) give each run an
id. All runs of a test use one cassette.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

_REPEAT = "__pytest_repeat_step_number"
_FLAKEFINDER = "__flakefinder_"
_alike = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Note the parametrised tests whose ids differ by case only."""
    found = yield
    if isinstance(found, list):
        items = [item for item in found if isinstance(item, pytest.Function)]
        names = Counter(item.name.lower() for item in items)
        for item in items:
            item.stash[_alike] = names[item.name.lower()] > 1
    return found


def cassette_name(node: pytest.Item | pytest.Collector) -> str:
    """Return a file name for the cassette of a test, a class or a module.

    `test_a[x]`, `TestClass.test_a[x]`, `TestClass` or `module`.
    """
    from agy_nb.cassette.storage.format import safe_name

    if isinstance(node, pytest.Module):
        return "module"
    nodes = [each for each in node.listchain() if isinstance(each, pytest.Class | pytest.Item)]
    names = [without_repetition(e) if isinstance(e, pytest.Item) else e.name for e in nodes]
    digest = node.stash.get(_alike, False) or any(map(_has_twin, nodes))
    return safe_name(".".join(names), digest=digest)


def without_repetition(item: pytest.Item) -> str:
    """Return the name of a test, without the id of one of several runs of it."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    ids = [str(value) for name, value in params.items() if name.startswith(_FLAKEFINDER)]
    if _REPEAT in params:
        ids.append(rf"{params[_REPEAT] + 1}-\d+")
    name = item.name
    for each in ids:
        name = re.sub(rf"(?<=\[){each}(?:-|(?=\]))|-{each}(?=\])", "", name, count=1)
    return name.removesuffix("[]") if ids else name


def _has_twin(node: pytest.Item | pytest.Class) -> bool:
    """Return whether the module or the class has another name that differs by case only."""
    name = getattr(node, "originalname", None) or node.name
    names = dir(getattr(node.parent, "obj", None))
    return any(each != name and each.lower() == name.lower() for each in names)
