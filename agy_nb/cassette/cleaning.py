"""Takes secrets out of exchanges with a model, as they stand in vcrpy's files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agy_nb.cassette.episodes import Interaction


def cleaned(made: Interaction, text: Callable[[str], str]) -> Interaction:
    """An exchange without secrets; a body that changes loses the bounds of its chunks.

    Args:
        made: The exchange; it is not changed.
        text: Gives a text without secrets.
    """
    request, response = made["request"], made["response"]
    request = request | {
        "uri": text(str(request.get("uri", ""))),
        "body": _body(request.get("body"), text),
    }
    before = (response.get("body") or {}).get("string")
    after = _body(before, text)
    if after != before:
        size = len(after.encode() if isinstance(after, str) else after or b"")
        took = sum(dt for _, dt in response.get("x_agy_chunks") or ())
        response = response | {"body": {"string": after}, "x_agy_chunks": [[size, round(took, 6)]]}
    return made | {"request": request, "response": response}


def _body(body: Any, text: Callable[[str], str]) -> Any:  # noqa: ANN401 - str, bytes or nothing
    return text(body) if isinstance(body, str) else body
