"""Find wording that a reader must read twice, in the package, the documentation and the notebooks.

`python -m tests.contract.prose [PATH...]` lists each finding; `make check` runs it with `--check`,
which fails where a pattern is found more often than `ALLOWED` says.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
READ = ("agy_nb/**/*.py", "agy_nb/**/*.js", "docs/**/*.md", "notebooks/*.ipynb", "*.md", "Makefile")
SKIPPED = ("CHANGELOG.md", "docs/_build/", "docs/jupyter_execute/")

PATTERNS = {
    "whoever, nobody": r"\b(whoever|nobody|whatever)\b",
    "is no NOUN": r"(?<!there )\b(is|are|was|were) no (?!longer|more\b|less\b|other\b)[a-z]",
    "what ... is": r"\b[Ww]hat (is|was|are|were|it|comes|came|had|has|goes|stands)\b[^?]*$",
    "is told, tells of": r"\b((is|are|was|were|be) told|tells of|hears? of|says so)\b",
    "anew, mend, for ever": r"\b(anew|mend(s|ed|ing)?|for ever)\b",
    "lies, stands": r"\b(lies|stands) (in|at|on|beside|below|there|where)\b",
    "that is so": r"\b[Tt]hat is so\b",
}
BARE = re.compile(r"^(It|They|This|That)\.?$")

ALLOWED = {"what ... is": 2}
"""How often a pattern may still be found: quotations and the rare sentence that needs it."""


class Finding(NamedTuple):
    """One match: where it is, which pattern, and the line."""

    file: str
    line: int
    pattern: str
    text: str


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines of a file that a person reads: strings and comments of code, all of a page."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        for cell in json.loads(source)["cells"]:
            if cell["cell_type"] == "markdown":
                yield from ((0, line) for line in "".join(cell["source"]).splitlines())
    elif path.suffix == ".py":
        kinds = {tokenize.STRING, tokenize.COMMENT}
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in kinds:
                yield from enumerate(token.string.splitlines(), token.start[0])
    else:
        yield from enumerate(source.splitlines(), 1)


def findings(paths: list[Path]) -> Iterator[Finding]:
    """Look for every pattern in files."""
    for path in paths:
        file = path.relative_to(ROOT).as_posix()
        for number, line in texts_of(path):
            for name, pattern in PATTERNS.items():
                if re.search(pattern, line):
                    yield Finding(file, number, name, line.strip())
        if path.suffix == ".py":
            yield from _bare_docstrings(path, file)


def _bare_docstrings(path: Path, file: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = (ast.get_docstring(node) or "").split("\n", 1)[0]
            if re.match(r"(It|They|That|This) ", first) or BARE.match(first):
                yield Finding(file, node.lineno, "bare pronoun", first)


def files() -> list[Path]:
    """List the files that are read."""
    found = {path for pattern in READ for path in ROOT.glob(pattern)}
    return sorted(p for p in found if not p.relative_to(ROOT).as_posix().startswith(SKIPPED))


def main(arguments: list[str] | None = None) -> int:
    """List the findings, or compare their counts with `ALLOWED`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; everything if none")
    parser.add_argument("--check", action="store_true", help="print only what exceeds the limits")
    options = parser.parse_args(arguments)
    paths = files()
    if options.paths:
        wanted = [path.resolve() for path in options.paths]
        paths = [p for p in paths if any(p == w or w in p.parents for w in wanted)]
    found = list(findings(paths))
    counts = Counter(finding.pattern for finding in found)
    above = {name for name, count in counts.items() if count > ALLOWED.get(name, 0)}
    for finding in found:
        if not options.check or finding.pattern in above:
            print(f"{finding.file}:{finding.line}: {finding.pattern}: {finding.text[:120]}")
    print(", ".join(f"{name}: {count}" for name, count in counts.most_common()) or "nothing found")
    return bool(above) if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
