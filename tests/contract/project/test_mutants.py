"""Each mutant still fits the package: one that does not would say nothing of the proof."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
PATCHES = sorted((ROOT / "tests" / "mutants").glob("*.patch"))


def test_every_mutant_applies_and_is_python(tmp_path):
    problems = {patch.stem: problem for patch in PATCHES if (problem := misfit(patch, tmp_path))}
    assert problems == {}, "write these changes again"


def test_mutant_that_does_not_fit_is_seen(tmp_path):
    path = tmp_path / "stale.patch"
    path.write_text(
        "--- a/agy_nb/__init__.py\n+++ b/agy_nb/__init__.py\n@@ -1 +1 @@\n-no such line\n+x\n"
    )
    assert "FAILED" in misfit(path, tmp_path)


def misfit(patch: Path, folder: Path) -> str:
    """Why a mutant does not fit the package, empty where it does."""
    tree = folder / patch.stem
    for line in patch.read_text(encoding="utf-8").splitlines():
        if line.startswith("--- a/"):
            target = tree / line.removeprefix("--- a/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / line.removeprefix("--- a/"), target)
    done = subprocess.run(
        ["patch", "--strip=1", "--forward", "--batch", f"--input={patch}"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return f"{done.stdout}{done.stderr}"
    try:
        for path in tree.rglob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        return str(error)
    return ""
