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
import re
import sys
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from environments import environment, run_tests  # noqa: E402 - the repository comes first

from agy_nb.sdk.versions import NEWEST, OLDEST, TESTED  # noqa: E402 - as above

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


def run(version: str, arguments: list[str]) -> dict[str, int]:
    """Run the tests against one version; gives the counts."""
    name = f"sdk-{version}"
    python = environment(name, {"google-antigravity": f"=={version}"})
    tests = (*TESTS, NEXT_RELEASE) if version == NEWEST else TESTS
    return run_tests(python, name, [*tests, "-W", OF_OLDER, *arguments])


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
