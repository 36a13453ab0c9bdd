"""The SDK logs to the root logger; in a notebook that ends as red text below the cell.

Its records go to the logger `agy_nb.sdk` instead, where they are quiet until somebody asks:
`logging.getLogger("agy_nb.sdk").addHandler(...)`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import google.antigravity

from agy_nb.errors import AgyError

_HOME = str(Path(google.antigravity.__file__).parent)
_ours = logging.getLogger("agy_nb.sdk")


class _SdkRecords(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "root" and not record.pathname.startswith(_HOME):
            return True
        record.name = _ours.name
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, AgyError) or isinstance(getattr(error, "__cause__", None), AgyError):
            return False  # of a replay; the caller of chat() gets it as an exception
        if _ours.isEnabledFor(record.levelno):
            _ours.handle(record)
        return False


def route() -> None:
    """Take the SDK's records off the root logger from now on; once is enough."""
    for logger in (logging.getLogger(), logging.getLogger("google_genai.types")):
        if not any(isinstance(known, _SdkRecords) for known in logger.filters):
            logger.addFilter(_SdkRecords())
            _ours.addHandler(logging.NullHandler())
            _ours.propagate = False
