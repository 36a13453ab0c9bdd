"""Run, record, replay and analyse Google Antigravity agents in Jupyter.

Agents run on the kernel's own event loop and stream into the cell. You approve their tool calls.
Each public name is loaded on first use, so importing the package is fast.

Example:
    >>> import agy_nb as agy
    >>> agent = await agy.create_agent()
    agy_nb: no GEMINI_API_KEY is set, so a local echo model answers
    >>> response = await agent.chat("Hello")
    >>> print(await response.text())
    You said: Hello...
"""

from __future__ import annotations

import importlib
import os
import sys
import typing

from agy_nb import lazy_names
from agy_nb.views import provide as _provide

_load, __dir__, __all__ = lazy_names.attach(__name__, __file__)
_provide(lambda: importlib.import_module("agy_nb.widgets.notebook_views"))  # type: ignore[arg-type, return-value]
if "AGY_CASSETTE_IN_USE" in os.environ:  # a child of a process that uses a cassette
    importlib.import_module("agy_nb.sdk.patches.install_on_import").watch_imports()
_main = getattr(sys.modules.get("__main__"), "__spec__", None)
if getattr(_main, "name", "") == "asyncio.__main__":  # `python -m asyncio`
    importlib.import_module("agy_nb.widgets.response.text_stream").stream_in_repl()


def __getattr__(name: str) -> typing.Any:
    if name == "__version__":
        from importlib import metadata  # costs more than all else here

        return metadata.version("agy-nb")
    return _load(name)


def load_ipython_extension(shell: typing.Any) -> None:
    """Register the magics, for `%load_ext agy_nb`."""
    from agy_nb import magics

    magics.load_ipython_extension(shell)
