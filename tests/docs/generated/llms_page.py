"""Make docs/llms.txt, an index for assistants: `python -m tests.docs.generated.llms_page`.

Made from the first page: its sections, and the title and the first sentence of each page in them.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "llms.txt"
NOTEBOOKS = DOCS.parent / "notebooks"
_PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SITE: str = _PROJECT["urls"]["Documentation"]
HINT = (
    "Install with `pip install 'agy-nb[notebook,cost,plot]'`, and `import agy_nb as agy`. "
    "`await agy.create_agent(...)` starts an agent, `await agent.chat(...)` sends a prompt, "
    "`agy.use_cassette(path)` records and replays, and `agy.load(path)` reads recordings as "
    "DataFrames."
)
_TREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
_SENTENCE = re.compile(r"^(.+?[.:])(?:\s|$)", re.DOTALL)


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# agy_nb",
            "",
            f"> {_PROJECT['description']}",
            "",
            HINT,
            *_sections((DOCS / "index.md").read_text(encoding="utf-8")),
            "",
        ]
    )


def _sections(index: str) -> Iterator[str]:
    for tree in _TREE.findall(index):
        caption = re.search(r":caption: (.*)", tree)
        yield from ("", f"## {caption[1] if caption else 'Start'}", "")
        for line in tree.splitlines():
            if line and not line.startswith(":"):
                yield _entry(line)


def _entry(line: str) -> str:
    named = re.fullmatch(r"(.+) <(.+)>", line)
    name = named[2] if named else line
    title, about = _about(name)
    return f"- [{title}]({SITE}{name}.html)" + (f": {about}" if about else "")


def _about(name: str) -> tuple[str, str]:
    """Return the title and the first sentence of a page or a notebook."""
    file = DOCS / f"{name}.md"
    if not (DOCS / file).exists():
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        text = "".join(cells[0]["source"])
    else:
        text = file.read_text(encoding="utf-8")
        if included := re.match(r"```\{include\} (\S+)", text):
            text = (DOCS / included[1]).read_text(encoding="utf-8")
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    assert heading, name
    for paragraph in text[heading.end() :].split("\n\n"):
        words = " ".join(paragraph.split())
        if words and not words.startswith(("#", "`" * 3, "<", "|", ":")):
            sentence = _SENTENCE.match(words)
            return heading[1], _plain(sentence[1] if sentence else words)
    return heading[1], ""


def _plain(text: str) -> str:
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).rstrip(":")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
