"""Run the tests that touch the SDK against several of its versions, and write a table of it.

    python scripts/sdk_matrix.py             the oldest and the newest version
    python scripts/sdk_matrix.py --all       each version in between, too
    python scripts/sdk_matrix.py 0.1.19      this one

Each version gets an environment of its own in `.venvs`. A newer version than those that were tested
may be named, too. The table in `docs/sdk_versions.md` keeps the rows of versions that are not run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from agy_nb.sdk.versions import NEWEST, OLDEST, TESTED  # noqa: E402 - as a script

PAGE = ROOT / "docs" / "sdk_versions.md"
TESTS = (
    "tests/sdk/test_events.py",
    "tests/sdk/patches/test_hooks.py",
    "tests/sdk/process/test_observed_socket.py",
    "tests/sdk/patches/test_triggers.py",
    "tests/sdk/patches/test_passing_through.py",
    "tests/sdk/config/test_default_policy.py",
    "tests/wire/test_equality.py",
    "tests/cassette/test_runtime.py",
)
"""Those that show a difference between versions first: with the harness, hooks and recordings."""
NEXT_RELEASE = "tests/sdk/patches/test_patches.py"
"""Run with the newest version: renames each private attribute that agy_nb touches, in turn."""
OF_OLDER = "ignore:CapabilitiesConfig.compaction_threshold is deprecated:DeprecationWarning"
"""Up to 0.1.20 the SDK warns of a default of its own."""
START = "<!-- table: scripts/sdk_matrix.py -->"
HEADER = (
    "| google-antigravity | tests run | passed | failed | skipped | run on |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def call(*command: str | Path, check: bool = True) -> str:
    """Run a command in the project's folder; gives what it prints to stdout."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        check=check,
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "AGY_NEXT_RELEASE": "1"},
    )
    return done.stdout


def environment(version: str) -> Path:
    """A Python with that version of the SDK and all that the tests need."""
    folder = ROOT / ".venvs" / f"sdk-{version}"
    python = folder / "bin" / "python"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    wanted = call(
        uv, "export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-hashes"
    )
    lines = [line for line in wanted.splitlines() if not line.startswith("google-antigravity=")]
    requirements = folder.with_suffix(".txt")
    requirements.parent.mkdir(exist_ok=True)
    requirements.write_text(
        "\n".join([*lines, f"google-antigravity=={version}", ""]), encoding="utf-8"
    )
    install = (uv, "pip", "install", "--quiet", "--python", python)
    if not python.exists():
        call(uv, "venv", "--quiet", "--python", sys.executable, folder)
    call(*install, "--requirement", requirements)
    call(*install, "--no-deps", "--editable", ROOT)
    return python


def run(version: str, arguments: list[str]) -> dict[str, int]:
    """Run the tests against one version; gives the counts."""
    python = environment(version)
    report = ROOT / ".venvs" / f"sdk-{version}.xml"
    tests = (*TESTS, NEXT_RELEASE) if version == NEWEST else TESTS
    command = (python, "-m", "pytest", *tests, "-q", f"--junitxml={report}", "-W", OF_OLDER)
    print(call(*command, *arguments, check=False))
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own file
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    return {
        "tests run": counts["tests"] - counts["skipped"],
        "passed": counts["tests"] - failed - counts["skipped"],
        "failed": failed,
        "skipped": counts["skipped"],
    }


def write(rows: dict[str, dict[str, int]]) -> None:
    """Put the rows into the page; those of other versions stay."""
    text = PAGE.read_text(encoding="utf-8")
    above, _, below = text.partition(START)
    kept = {
        match[1]: match[0] for match in re.finditer(r"^\| (\d[\w.]*) \|.*$", below, re.MULTILINE)
    }
    today = dt.datetime.now(dt.UTC).date().isoformat()
    for version, counts in rows.items():
        numbers = " | ".join(
            str(counts[name]) for name in ("tests run", "passed", "failed", "skipped")
        )
        kept[version] = f"| {version} | {numbers} | {today} |"
    ordered = [kept[key] for key in sorted(kept, key=lambda v: [int(n) for n in v.split(".")])]
    ran = "Tests: " + ", ".join(f"`{path}`" for path in TESTS) + "; with the newest version also "
    ran += f"`{NEXT_RELEASE}`, which simulates the next release."
    table = "\n".join([START, "", fill(ran, 100), "", HEADER, *ordered, ""])
    PAGE.write_text(above + table, encoding="utf-8")


def main() -> int:
    """Run the versions that were named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("versions", nargs="*", help="versions of google-antigravity")
    parser.add_argument("--all", action="store_true", help="every version that is supported")
    known, arguments = parser.parse_known_args()
    versions = known.versions or (TESTED if known.all else (OLDEST, NEWEST))
    rows = {version: run(version, arguments) for version in versions}
    write(rows)
    print((PAGE.read_text(encoding="utf-8").partition(START)[2]).strip())
    return any(counts["failed"] for counts in rows.values())


if __name__ == "__main__":
    sys.exit(main())
