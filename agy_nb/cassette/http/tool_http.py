"""Record and replay HTTP requests of host tools with vcrpy: `use_cassette(..., tool_http=True)`.

Rule 1: vcrpy patches requests, httpx, aiohttp and urllib3 for the whole process, so it records
every request in the block. The requests of the model's proxy are made by another process.
Rule 2: requests are redacted before vcrpy sees them, so that recorded and replayed ones match.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.http.client_patches import extended
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.http_bodies import encoding_of
from agy_nb.cassette.redaction.http.http_headers import (
    clean_headers,
    clean_request_headers,
    with_length,
)
from agy_nb.cassette.redaction.http.uris import clean_uri
from agy_nb.cassette.storage.format import TOOLS

_BOUNDARY = re.compile(r"(multipart/[^;]+;\s*boundary=)\"?([^\";]{16,})\"?\Z", re.IGNORECASE)
_FIXED = "agy-nb-boundary"


class ToolHttp:
    """vcrpy's cassette of the HTTP requests of host tools.

    Args:
        path: Folder of `tools.yaml`.
        redactor: Removes secrets.
        mode: vcrpy's record mode.
    """

    def __init__(self, path: Path, redactor: Redactor, *, mode: str) -> None:
        self._path = path / TOOLS
        self._redactor = redactor
        self._mode = mode
        self._stack = contextlib.ExitStack()
        self._cassette: Any = None

    def open(self) -> None:
        """Read `tools.yaml` and apply vcrpy's patches.

        Raises:
            CassetteInvalidError: `tools.yaml` cannot be read.
        """
        import vcr

        recorder = vcr.VCR(
            record_mode=self._mode,
            before_record_request=self._request,
            before_record_response=self._response,
        )
        context = recorder.use_cassette(
            str(self._path), match_on=["method", "scheme", "host", "port", "path", "query", "body"]
        )
        try:
            self._cassette = self._stack.enter_context(context)
        except Exception as error:
            raise CassetteInvalidError(
                f"{self._path} is not a file of vcrpy: {error}", path=str(self._path.parent)
            ) from error
        self._stack.enter_context(extended(self._cassette, self._redactor.text))

    def extend(self, path: Path) -> None:
        """Record new requests from now on. Answers that were replayed stay used.

        Args:
            path: Folder of the recording, with a copy of `tools.yaml`.

        Raises:
            CassetteInvalidError: `tools.yaml` cannot be read.
        """
        used = self._cassette.play_counts
        self.close()
        self._path, self._mode = path / TOOLS, "new_episodes"
        self.open()
        self._cassette.play_counts.update(used)

    def close(self) -> None:
        """Remove the patches, and write the recorded requests to disk."""
        self._stack.close()

    def _request(self, request: Any) -> Any:
        from vcr.request import Request

        uri = clean_uri(request.uri, self._redactor.text)
        headers = clean_request_headers(request.headers, self._redactor.text)
        body = self._clean(_whole(request.body), encoding_of(headers.items()))
        cleaned = Request(request.method, uri, body, headers)
        _fix_boundary(cleaned)
        return cleaned

    def _response(self, response: dict[str, Any]) -> dict[str, Any]:
        from vcr.filters import decode_response

        # An answer to HEAD describes a body that it does not have; aiohttp's redirects have none.
        if response["body"].get("string"):
            response = decode_response(response)
        headers = response["headers"]
        before = response["body"].get("string", b"")
        body = self._clean(before, encoding_of(headers.items()))
        headers = clean_headers(with_length(headers, before, body), self._redactor.text)
        return response | {"headers": headers, "body": {"string": body}}

    def _clean(self, body: Any, encoding: str) -> Any:
        if isinstance(body, str):
            return self._redactor.text(body)
        return self._redactor.body(body, encoding=encoding) if isinstance(body, bytes) else body


def _whole(body: Any) -> Any:
    """Return the bytes of a body that is a file, or is given piece by piece."""
    if hasattr(body, "read"):
        return body.read()
    if isinstance(body, Iterator):
        return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in body)
    return body


def _fix_boundary(request: Any) -> None:
    """Replace the random boundary of an upload by a constant, so that requests are equal."""
    for name, value in request.headers.items():
        if name.lower() != "content-type" or not isinstance(request.body, bytes):
            continue
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if match := _BOUNDARY.match(text):
            request.body = request.body.replace(match[2].encode("latin-1"), _FIXED.encode())
            request.headers[name] = match[1] + _FIXED
            return
