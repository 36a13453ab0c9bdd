"""The tables of docs/runtime.md say what the code says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from agy_nb import errors
from agy_nb.runtime.config import RuntimeConfig

PAGE = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text(encoding="utf-8")


def table(heading: str) -> dict[str, list[str]]:
    """The rows below a heading, by their first cell."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def test_every_limit_has_a_row_with_its_default():
    config = RuntimeConfig()
    assert {name: cells[0] for name, cells in table("Limits").items()} == {
        field.name: str(getattr(config, field.name)) for field in dataclasses.fields(config)
    }


def test_every_error_has_a_row():
    assert set(table("Errors")) == {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AgyError)
    }


def test_errors_have_the_attributes_of_their_row():
    for name, (_, listed) in table("Errors").items():
        kind = getattr(errors, name)
        try:
            error = kind(1.0, "chat") if name == "Timeout" else kind(1.0)
        except TypeError:
            error = kind("message")
        found = {key for key in vars(error) if not key.startswith("_")}
        assert found == set(re.findall(r"`(\w+)`", listed)), name
