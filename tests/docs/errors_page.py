"""docs/errors.md, made from the docstrings of the errors: `python -m tests.docs.errors_page`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from tests.contract import surface
from tests.contract.surface import Documented

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"

HEAD = """\
# Errors

Every error of agy_nb is an `agy.AgyError`. Its text says what happened, where, and what to do; what
a program needs to know is in attributes. Here each has its cause, what to do about it, and an
example that a test runs, in which `...` stands for the rest of a message.

```python
try:
    print(await agent.chat_text("Hello"))
except agy.QuotaExceededError as error:
    await asyncio.sleep(error.retry_after)
except agy.BackendError as error:
    print(error.http_code, error)
```
"""

GROUPS = {
    "agy_nb.errors": "Agents and runtimes",
    "agy_nb.cassette.errors": "Cassettes",
    "agy_nb.analysis.errors": "Tables",
    "agy_nb.kernel.errors": "Kernels",
    "agy_nb.testing.errors": "Scripted models",
    "agy_nb.pytest_plugin.errors": "The pytest plugin",
}


def errors() -> list[Documented]:
    """Every public error and warning."""
    return [
        each
        for each in surface.names()
        if inspect.isclass(each.value) and issubclass(each.value, BaseException)
    ]


def remedy(error: Documented) -> str:
    """What its docstring says is to be done."""
    found = re.search(r"^What to do: (.*?)(?:\n\n|\Z)", error.doc, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def page() -> str:
    """The whole page."""
    pieces = [HEAD]
    for module, title in GROUPS.items():
        pieces.append(f"## {title}\n")
        found = [each for each in errors() if each.value.__module__ == module]
        found.sort(key=lambda each: inspect.getsourcelines(each.value)[1])
        pieces += [_entry(each) for each in found]
    return "\n".join(pieces)


def _entry(error: Documented) -> str:
    bases = [base.__name__ for base in error.value.__bases__]
    name = error.value.__name__
    where = f"`{_home(error)}.{name}`, a kind of {' and '.join(f'`{base}`' for base in bases)}."
    cause = " ".join(error.doc.split("\n\n")[0].split())
    lines = [f"### {name}\n", f"{cause} {where}\n", f"**What to do:** {_sentence(remedy(error))}\n"]
    attributes = re.findall(
        r"^ {4}(\w+): (.*(?:\n {8}.*)*)", error.section("Attributes"), re.MULTILINE
    )
    if attributes:
        lines += [f"- `{key}`: {' '.join(text.split())}" for key, text in attributes]
        lines.append("")
    lines += ["```pycon", inspect.cleandoc(error.section("Example")), "```\n"]
    return "\n".join(lines)


def _home(error: Documented) -> str:
    home = error.name.rpartition(".")[0]
    return "agy" if home == "agy_nb" else home


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
