"""Views for notebooks: chats that stream, approvals, questions, usage.

Each name is loaded on first use: nothing here is imported before a view is shown.
"""

from __future__ import annotations

import typing

from agy_nb import lazy_names

_MODULES = lazy_names.read(__file__)
__all__ = list(_MODULES)


def __getattr__(name: str) -> typing.Any:  # noqa: ANN401 - the type of whatever the name stands for
    return lazy_names.load(__name__, name, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
