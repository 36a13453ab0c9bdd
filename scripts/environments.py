"""Make environments with chosen versions of Python and of packages, below `.venvs`.

All other packages have the versions of uv.lock.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venvs"


def uv() -> str:
    """Return the path of uv, that of the environment first."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"


def call(*command: str | Path, check: bool = True, **variables: str) -> str:
    """Run a command in the project's folder; gives what it prints to stdout."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        check=check,
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, **variables},
    )
    return done.stdout


def environment(name: str, pins: Mapping[str, str], python: str = sys.executable) -> Path:
    """Make or update an environment with all that the tests need.

    Args:
        name: Name of its folder.
        pins: Version specifiers of packages, such as `{"pandas": "==2.2.*"}`.
        python: The Python to use, by path.

    Returns:
        The path of its Python.
    """
    folder = FOLDER / name
    found = folder / "bin" / "python"
    wanted = call(
        uv(), "export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-hashes"
    )
    lines = [line for line in wanted.splitlines() if _name(line) not in pins]
    requirements = FOLDER / f"{name}.txt"  # a version in the name is no suffix
    requirements.parent.mkdir(exist_ok=True)
    pinned = [f"{package}{specifier}" for package, specifier in pins.items()]
    requirements.write_text("\n".join([*lines, *pinned, ""]), encoding="utf-8")
    install = (uv(), "pip", "install", "--quiet", "--python", found)
    if not found.exists():
        call(uv(), "venv", "--quiet", "--python", python, folder)
    call(*install, "--requirement", requirements)
    call(*install, "--no-deps", "--editable", ROOT)
    return found


def _name(line: str) -> str:
    match = re.match(r"[\w.-]+", line)
    return match.group() if match else ""


def run_tests(python: Path, name: str, arguments: Sequence[str]) -> dict[str, int]:
    """Run pytest in an environment; gives the counts."""
    report = FOLDER / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = (python, "-m", "pytest", "-q", f"--junitxml={report}", *arguments)
    print(call(*command, check=False, AGY_NEXT_RELEASE="1"))
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own file
    counts = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    return {
        "tests run": counts["tests"] - counts["skipped"],
        "passed": counts["tests"] - failed - counts["skipped"],
        "failed": failed,
        "skipped": counts["skipped"],
    }
