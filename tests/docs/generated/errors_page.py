"""Make docs/errors.md from docstrings: `python -m tests.docs.generated.errors_page`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from tests.contract import surface
from tests.contract.surface import Documented

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"

HEAD = """\
# Errors

Catch `agy.AgyError` to handle any error of agy_nb, or one of its kinds to handle one cause. The
message names the problem, the place and the remedy. Attributes such as `retry_after` hold the
values that a program needs.

```python
try:
    print(await agent.chat_text("Hello"))
except agy.QuotaExceededError as error:
    await asyncio.sleep(error.retry_after)
except agy.BackendError as error:
    print(error.http_code, error)
```

`error.retryable` says whether the same request may succeed later. Below, each error has its cause,
its remedy and an example. The tests run the examples, in which `...` stands for the rest of a
message. The last section is
[a table for users of the Rust bridge](#from-the-variants-of-the-rust-bridge).
"""

BRIDGE = {
    "AgentNotStarted": "`AgentNotStartedError`",
    "BackendError": "`BackendError`; `error.http_code` has the status code",
    "ConnectionError": "`HarnessError`",
    "QuotaExceeded": "`QuotaExceededError`; `error.retry_after` has the seconds",
    "ChannelClosed": "`ChannelClosedError`",
    "Safety": "`SafetyError`",
    "MaxTokens": "`MaxTokensError`",
    "ConnectionClosed": "`HarnessError`",
    "Timeout": "`AgyTimeoutError`, with `error.duration` and `error.operation`",
    "Stream": "`BackendError` or the kind of it that names the cause; the response raises it",
    "InvalidConfig": "`InvalidConfigError`; `error.field` names the setting",
    "Io": "the error of the operation, such as `CassetteNotWrittenError`; the `OSError` is its "
    "`__cause__`",
}
"""The variants of agy-bridge's error, and the class that takes the place of each."""

ABOUT_BRIDGE = """\
## From the variants of the Rust bridge

The Rust bridge (agy-bridge) has one error type with variants. In agy_nb, classes take the place of
variants. Use `error.retryable` for `is_retryable()`, and `except agy.QuotaExceededError` for
`is_quota_error()`; an answer with status 503 is a `BackendError` here.

| variant in agy-bridge | class in agy_nb |
| --- | --- |
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
    """Return the remedy that its docstring names."""
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
    rows = [f"| `{variant}` | {ours} |" for variant, ours in BRIDGE.items()]
    pieces.append("\n".join([ABOUT_BRIDGE.rstrip("\n"), *rows, ""]))
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
