"""Make docs/settings.md from signatures: `python -m tests.docs.generated.settings_page`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import agy_nb as agy
from agy_nb.runtime.default_runtime import create_agent
from tests.contract.surface import Documented

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"

HEAD = """\
# Settings

Set limits of a runtime, and look up every option of agents, cassettes and tables.

```python
rt = agy.runtime(agy.RuntimeConfig(chat_timeout=300, max_turn_tokens=500_000))
agent = await agy.create_agent(model="gemini-2.5-flash", system_instructions="Be brief.")
```

Every field of the SDK's `LocalAgentConfig` is a keyword of `create_agent`. You can also pass a
configuration object of the SDK, or a mapping of its fields. [Tests with recorded
sessions](testing.md) lists the options of pytest, and [The command `agy-nb`](commands.md) those of
the command line.
"""

# What each variable of the environment does; a test finds those that the code reads.
VARIABLES = {
    "AGI_CHAT_TIMEOUT_SECS": "default of `RuntimeConfig.chat_timeout`, in seconds",
    "AGY_NB_STAND_IN": "set by `agy-nb harness` for the harness that it starts; not for users",
    "ANTIGRAVITY_HARNESS_PATH": "the harness that the SDK starts, instead of its own",
    "CI": "if set (and not `0` or `false`), pytest records only with an explicit record mode",
    "COLAB_RELEASE_TAG": "set by Colab; agy_nb uses it to detect the front end",
    "GEMINI_API_KEY": "key of the Gemini API; without it, and without a model in the "
    "configuration, a local echo model answers",
    "GOOGLE_GENAI_USE_ENTERPRISE": "`true` or `1`: the SDK uses Vertex AI, no echo model",
    "GOOGLE_GENAI_USE_VERTEXAI": "the same, by its older name",
    "VSCODE_PID": "set by VS Code; agy_nb uses it to detect the front end",
}


ABOUT_VARIABLES = """\
Call `agy.load_env()` before the first agent to set the variables of a `.env` file. Variables that
are already set keep their values. Recordings redact the values of the file's secret variables. Keep
the file out of git.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            _section(
                "Runtimes",
                "`agy.runtime(config)` and `agy.Runtime(config)` take an `agy.RuntimeConfig`.",
                agy.RuntimeConfig,
                "Attributes",
            ),
            _section("Agents", "`await agy.create_agent(...)`.", create_agent, "Args"),
            _section(
                "Cassettes",
                "`agy.use_cassette(...)` and the marker `agy_cassette`.",
                agy.use_cassette,
                "Args",
            ),
            _section(
                "Tables",
                "`agy.load(...)`. `prices` is an `agy_nb.analysis.Prices`.",
                agy.load,
                "Args",
            ),
            "## Environment variables\n",
            ABOUT_VARIABLES,
            "| variable | meaning |",
            "| --- | --- |",
            *(f"| `{name}` | {text} |" for name, text in VARIABLES.items()),
            "",
        ]
    )


def _section(title: str, about: str, value: Any, section: str) -> str:
    known = inspect.signature(value).parameters
    rows = [
        f"| `{name}` | {_default(known[name])} | {' '.join(text.split())} |"
        for name, text in re.findall(
            r"^ {4}(\w+): (.*(?:\n(?: {8}.*)?)*)",
            Documented("", value).section(section),
            re.MULTILINE,
        )
    ]
    head = ["| setting | default | meaning |", "| --- | --- | --- |"]
    return "\n".join([f"## {title}\n", f"{about}\n", *head, *rows, ""])


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is inspect.Parameter.empty:
        return ""
    if "factory" in repr(value):  # of a dataclass: here, 120 or what the environment says
        return "`120.0`"
    return f"`{value!r}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
