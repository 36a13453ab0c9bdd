"""Views for notebooks: chats, approvals, questions, usage and recordings.

Each name is imported on first use, so that importing `agy_nb.widgets` is fast.
"""

from __future__ import annotations

from agy_nb import lazy_names

__getattr__, __dir__, __all__ = lazy_names.attach(__name__, __file__)
