"""Run the fast tests with several versions of Python, pandas, pytest and ipykernel.

    python scripts/matrix.py             every combination whose Python is on this machine
    python scripts/matrix.py 3.12        those of one Python

Writes the table of `docs/platforms.md`. A combination that cannot run here keeps its row.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from environments import ROOT, environment, run_tests

PAGE = ROOT / "docs" / "platforms.md"
START = "<!-- table: scripts/matrix.py -->"
END = "<!-- end of the table -->"
HEADER = (
    "| Python | pandas | pytest | ipykernel | tests run | passed | failed | skipped | run on |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
QUICK = "not (real or browser or alone or kernel_matrix or slow)"
NOT_RUN = "not run"


class Combination(NamedTuple):
    """Versions that are tested together."""

    python: str
    pandas: str
    pytest: str
    ipykernel: str

    @property
    def pins(self) -> dict[str, str]:
        """Version specifiers of the packages, and of those that depend on one version of them."""
        pins = {name: f"=={getattr(self, name)}.*" for name in ("pandas", "pytest", "ipykernel")}
        if self.pandas == "2.2":
            pins["numpy"] = "==2.2.*"
        if self.pytest == "8":
            pins["pytest-httpx"] = "==0.35.*"  # each release takes one major version of pytest
        return pins

    @property
    def cells(self) -> str:
        """The first cells of the row."""
        return " | ".join(self)


# The oldest and the newest major versions together, and each Python at least once.
COMBINATIONS = (
    Combination("3.11", "2.2", "8", "6"),
    Combination("3.11", "3", "9", "7"),
    Combination("3.12", "2.2", "8", "7"),
    Combination("3.12", "3", "9", "6"),
    Combination("3.13", "2.2", "9", "6"),
    Combination("3.13", "3", "9", "7"),
    Combination("3.14", "3", "9", "7"),
)


def find_python(version: str) -> str | None:
    """Return the path of a Python, or None if this machine has none of that version."""
    of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    for python in filter(None, [shutil.which(f"python{version}"), *map(str, of_pyenv)]):
        asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
        if done.stdout.strip() == version:  # a shim of pyenv may have none behind it
            return python
    return None


def run(combination: Combination, arguments: Sequence[str]) -> str | None:
    """Run one combination; gives its row, or None if this machine does not have its Python."""
    python = find_python(combination.python)
    if python is None:
        return None
    name = "-".join(["matrix", *combination])
    counts = run_tests(
        environment(name, combination.pins, python), name, ["-n", "2", "-m", QUICK, *arguments]
    )
    today = dt.datetime.now(dt.UTC).date().isoformat()
    numbers = " | ".join(str(counts[key]) for key in ("tests run", "passed", "failed", "skipped"))
    return f"| {combination.cells} | {numbers} | {today} |"


def row_in(text: str, combination: Combination) -> str:
    """Return the row of a combination as the page has it."""
    found = re.search(rf"^\| {re.escape(combination.cells)} \|.*$", text, re.MULTILINE)
    return found.group() if found else f"| {combination.cells} | | | | | {NOT_RUN} |"


def main() -> int:
    """Run the combinations, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("pythons", nargs="*", help="versions of Python; all when there is none")
    known, arguments = parser.parse_known_args()
    failed = False
    for combination in COMBINATIONS:
        if known.pythons and combination.python not in known.pythons:
            continue
        try:
            row = run(combination, arguments)
        except subprocess.CalledProcessError as error:  # uv has printed why
            print(f"no environment for {combination.cells}: {error}", file=sys.stderr)
            failed = True
            continue
        if row is None:
            print(f"Python {combination.python} is not on this machine", file=sys.stderr)
            continue
        failed |= row.split(" | ")[6] != "0"
        write(combination, row)
    print(PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0].strip())
    return failed


def write(changed: Combination, row: str) -> None:
    """Put a row into the page; the other rows stay."""
    text = PAGE.read_text(encoding="utf-8")
    above, _, rest = text.partition(START)
    _, _, below = rest.partition(END)
    rows = [row if each == changed else row_in(rest, each) for each in COMBINATIONS]
    table = "\n".join([START, "", HEADER, *rows, "", END])
    PAGE.write_text(above + table + below, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
