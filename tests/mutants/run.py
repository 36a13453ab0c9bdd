"""Does the proof notice? Break the package on purpose, one change at a time, and run the proof.

Each patch beside this file is a mutant: a line that says what is wrong, and the change. It is
applied to a copy of the package in a temporary folder, and the properties are run against that. A
mutant that survives is a hole in the proof.

    python -m tests.mutants.run              # all
    python -m tests.mutants.run quota loop   # those whose names have one of these words
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUICK = ["tests/properties/test_schedules.py", "tests/properties/test_protocol_machine.py",
         "-k", "every_schedule or the_model_says"]  # fmt: skip
STAGES = [("quick", QUICK), ("whole", ["tests/properties"])]
LIMIT_S = 300
COPIED = [
    "agy_nb",
    *(
        f"tests/{name}"
        for name in ("properties", "cassette", "runtime", "support", "conftest.py", "processes.py")
    ),
]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant; `by` is the first test that failed."""

    name: str
    what: str
    result: str
    by: str
    seconds: float


def copy_to(folder: Path) -> None:
    """The package and its proof."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "cassettes").symlink_to(ROOT / "cassettes")


def try_out(patch: Path | None) -> Verdict:
    """Run the proof against the package with a patch, or without one."""
    began = time.monotonic()
    name = "no change" if patch is None else patch.stem
    what = "the package as it is" if patch is None else patch.read_text().splitlines()[0]
    with tempfile.TemporaryDirectory(prefix="agy-mutant-") as place:
        folder = Path(place)
        copy_to(folder)
        if patch is not None:
            applied = subprocess.run(
                ["patch", "--strip=1", "--forward", "--batch", f"--input={patch}"],
                cwd=folder, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if applied.returncode:
                return Verdict(name, what, "DOES NOT APPLY", "", time.monotonic() - began)
        result, by = prove(folder)
    return Verdict(name, what, result, by, time.monotonic() - began)


def prove(folder: Path) -> tuple[str, str]:
    """Whether the proof holds in a folder, and the first test that does not; quick tests first."""
    result, by = "SURVIVED", ""
    for stage, tests in STAGES:
        result, by = run_tests(folder, stage, tests)
        if result != "SURVIVED":
            break
    return result, by


def run_tests(folder: Path, stage: str, tests: list[str]) -> tuple[str, str]:
    command = [
        sys.executable, "-m", "pytest", *tests, "-x", "-q", "-p", "no:cacheprovider", "--no-header",
        "--tb=no", "-o", "timeout=120",
    ]  # fmt: skip
    environ = {**os.environ, "AGY_MUTANT": stage, "PYTHONDONTWRITEBYTECODE": "1"}
    environ.pop("AGY_SOAK", None)
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, check=False,
            timeout=LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "killed", f"nothing ended within {LIMIT_S} s"
    if done.returncode == 0:
        return "SURVIVED", ""
    found = re.search(r"^(?:FAILED|ERROR) (?:\S*::)?(.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode == 1 and found:
        return "killed", found[1].removeprefix("test_small_scenario_holds_under_every_schedule")
    if "AgyTimeoutError" in done.stdout + done.stderr:
        return "killed", "a test that never ended"
    return "BROKEN", (done.stdout + done.stderr).strip().splitlines()[-1][:100]


def main() -> int:
    """Print the table; 0 if every mutant is killed and the package itself is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="of the mutants' names; all when left out")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    options = parser.parse_args()
    patches = [
        path
        for path in sorted(HERE.glob("*.patch"))
        if not options.words or any(word in path.stem for word in options.words)
    ]
    began = time.monotonic()
    sound = try_out(None)
    if sound.result != "SURVIVED":
        print(f"the proof does not hold for the package as it is: {sound.by}")
        return 1
    with ThreadPoolExecutor(options.jobs) as pool:
        verdicts = []
        for verdict in pool.map(try_out, patches):
            verdicts.append(verdict)
            print(
                f"{verdict.result:9} {verdict.name:42} {verdict.seconds:5.0f} s  {verdict.by}",
                flush=True,
            )
    killed = sum(verdict.result == "killed" for verdict in verdicts)
    print(f"{killed} of {len(verdicts)} mutants killed in {time.monotonic() - began:.0f} s")
    for verdict in verdicts:
        if verdict.result != "killed":
            print(f"- {verdict.name}: {verdict.result}. {verdict.what} {verdict.by}")
    return 0 if killed == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
