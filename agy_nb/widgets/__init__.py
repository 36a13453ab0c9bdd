"""Views for notebooks: chats, approvals, questions, usage and recordings.

Each name is imported on first use, so that importing `agy_nb.widgets` is fast.
"""

from __future__ import annotations

import typing

from agy_nb import lazy_names

_MODULES = lazy_names.read(__file__)
__all__ = list(_MODULES)


def __getattr__(name: str) -> typing.Any:
    return lazy_names.load(__name__, name, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
