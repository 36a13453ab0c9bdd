"""The latest exceptions of host tools as text, for the mismatch of a replay.

The wire holds the words of an exception only. The text here is kept instead of the exception,
which would keep the variables of all its frames.
"""

from __future__ import annotations

import os
import traceback
from collections import OrderedDict

_MOST_KEPT = 100
_MOST_FRAMES = 4
"""Frames that are shown, from the place where the tool raised outwards."""
_HIDDEN = tuple(
    f"{os.sep}{name}{os.sep}".replace("/", os.sep)
    for name in ("agy_nb", "google/antigravity", "asyncio", "concurrent/futures")
)
_texts: OrderedDict[str, str] = OrderedDict()


def keep(call_id: str, error: BaseException) -> None:
    """Keep the text of what a tool raised."""
    _texts[call_id] = exception_text(error)
    _texts.move_to_end(call_id)
    while len(_texts) > _MOST_KEPT:
        _texts.popitem(last=False)


def forget(call_id: str) -> None:
    """Forget an earlier exception of a call, which has now returned."""
    _texts.pop(call_id, None)


def raised_text(call_id: str) -> str:
    """Return the exception of a call with its traceback, empty if the tool raised none."""
    return _texts.get(call_id, "")


def exception_text(error: BaseException) -> str:
    """Return an exception with the frames of the tool, without those that called the tool."""
    stack = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in stack if not any(part in frame.filename for part in _HIDDEN)]
    lines = traceback.format_list(own[-_MOST_FRAMES:])
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()
