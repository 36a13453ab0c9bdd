"""Each claim of docs/security.md names the tests that hold it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)))


def rows():
    """The rows of the tables of threats."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] not in ("what could happen", "who", "---"):
            yield cells


def test_every_named_test_exists():
    assert [f"{file}::{name}" for file, name in NAMED if not defines(file, name)] == []


def defines(file, name):
    path = ROOT / "tests" / file
    source = path.read_text(encoding="utf-8") if path.exists() else ""
    return re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)


def test_each_threat_has_a_defence_and_a_test():
    threats = [cells for cells in rows() if cells[1] not in ("yes", "no", "not hostile")]
    assert len(threats) > 30
    for what, defence, tests in threats:
        assert what
        assert defence
        assert re.fullmatch(r"(`[\w/]+\.py::test_\w+`(, )?)+", tests), what
