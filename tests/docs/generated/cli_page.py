"""Make docs/commands.md from the parsers: `python -m tests.docs.generated.cli_page`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from agy_nb import cli

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"

HEAD = """\
# The command `agy-nb`

Check your installation, run the demo, and work with recordings on the command line.

```sh
agy-nb doctor                                 # check the installation
agy-nb demo                                   # run the quickstart notebook
agy-nb cassette list                          # list the recordings below ./cassettes
agy-nb cassette verify cassettes/weather      # check one for damage and secrets
agy-nb usage cassettes --by model --format csv
```

`agy-nb --help` lists the commands, and `agy-nb COMMAND --help` explains one. `python -m agy_nb`
is the same. The output has colours and tables in a terminal, and plain lines in a pipe.

| exit code | meaning |
| --- | --- |
| 0 | success |
| 1 | failure or difference; one line on stderr has the problem and the remedy |
| 2 | wrong arguments; nothing was done |
| 130 | interrupted |

A traceback is a bug in agy_nb. Please report it.

`demo` needs `pip install 'agy-nb[notebook]'`, and uses the Python in which agy_nb is installed.
`doctor` checks Python, SDK, harness, kernel and front end, and lets an agent answer. Without a
`GEMINI_API_KEY`, the model is a local echo model. The key itself is never shown.
Read more about [cassettes](cassettes.md), [other languages](harness.md) and [tables](tables.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections(cli._parser(), "agy-nb")])


def _sections(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        helps = {choice.dest: choice.help for choice in action._choices_actions}
        for word, command in action.choices.items():
            yield _section(command, f"{name} {word}", helps[word] or "")
            yield from _sections(command, f"{name} {word}")


def _section(parser: argparse.ArgumentParser, name: str, about: str) -> str:
    own = " ".join((parser.description or "").split())
    sentence = own if len(own) > len(about) else about
    lines = [f"## `{name}`\n", f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}.\n"]
    rows = [
        _row(action)
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    if rows:
        lines += ["| argument | meaning |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def _row(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    if isinstance(value, tuple):
        value = " ".join(value)
    if action.choices and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        more = " ..." if action.nargs in ("+", "*") else ""
        shown = f"{value.upper()}{more}"
    else:
        shown = ", ".join(action.option_strings)
        shown += f" {value}" if action.nargs != 0 else ""
    text = " ".join((action.help or "").split()) % {"default": action.default}
    return f"| `{shown}` | {text.replace('|', '&#124;')} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
