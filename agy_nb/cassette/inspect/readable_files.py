"""The files of a cassette as text that git can compare: without ids, times and chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agy_nb.cassette.errors import CassetteError
from agy_nb.cassette.inspect.session_digests import digest_of
from agy_nb.cassette.matching.harness_parts import without_harness_parts
from agy_nb.cassette.storage.cassette_reader import by_session
from agy_nb.cassette.storage.format import decode_line
from agy_nb.cassette.storage.safe_files import read_bytes
from agy_nb.cassette.storage.shared.model_yaml import expanded_response, to_yaml
from agy_nb.cassette.storage.shared.vcr_file import interactions_in
from agy_nb.wire.json_values import object_of
from agy_nb.wire.stored.frame_changes import FrameRestorer
from agy_nb.wire.summaries.canonical_config import canonical_config


def readable(file: Path) -> Iterator[str]:
    """Return a file of a cassette as lines of text. A file of another kind is given as it is.

    Args:
        file: `wire.jsonl`, `model.yaml` or `tools.yaml`, under any name.

    Raises:
        OSError: The file cannot be read.
    """
    raw = read_bytes(file)
    try:
        if raw.startswith(b'{"s":'):
            yield from to_yaml(_sessions(raw)).splitlines()
        elif raw.startswith(b"interactions:"):
            yield from to_yaml([_exchange(made) for made in interactions_in(file)]).splitlines()
        else:
            yield from raw.decode("utf-8", "replace").splitlines()
    except (CassetteError, ValueError, TypeError, KeyError, AttributeError):  # damaged
        yield from raw.decode("utf-8", "replace").splitlines()


def _sessions(raw: bytes) -> list[Any]:
    restorer, whole = FrameRestorer(), raw[: raw.rfind(b"\n") + 1]
    lines = [decode_line(line, restorer=restorer) for line in whole.splitlines(keepends=True)]
    return [
        digest_of(session) | {"config": canonical_config(session.config).get("config")}
        for session in by_session(lines)
    ]


def _exchange(made: dict[str, Any]) -> dict[str, Any]:
    request, response = made["request"], expanded_response(made["response"])
    body = request.get("body")
    data = body.get("json") if isinstance(body, dict) else _data(body)
    return {
        "request": f"{request['method']} {request['uri']}",
        "body": without_harness_parts(data),
        "status": object_of(response.get("status")).get("code"),
        "response": _events(response["body"].get("string")),
    }


def _data(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text


def _events(body: Any) -> Any:
    """Return the JSON of a response, also of a stream of events."""
    if not isinstance(body, str) or not body.lstrip().startswith("data:"):
        return _data(body)
    return [_data(line[5:]) for line in body.splitlines() if line.startswith("data:")]
