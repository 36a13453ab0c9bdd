"""Each mutant still fits the package: one that does not would say nothing of the proof."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATCHES = sorted((ROOT / "tests" / "mutants").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_mutant_applies_and_is_python(patch, tmp_path):
    text = patch.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("--- a/"):
            target = tmp_path / line.removeprefix("--- a/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / line.removeprefix("--- a/"), target)
    done = subprocess.run(
        ["patch", "--strip=1", "--forward", "--batch", f"--input={patch}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nWrite the change again."
    for path in tmp_path.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))
