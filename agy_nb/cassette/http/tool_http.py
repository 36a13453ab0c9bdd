"""Record and replay HTTP requests of host tools with vcrpy: `use_cassette(..., tool_http=True)`.

Rule 1: vcrpy patches requests, httpx, aiohttp and urllib3 for the whole process, so it records
every request in the block. The requests of the model's proxy are made by another process.
Rule 2: requests are redacted before vcrpy sees them, so that recorded and replayed ones match.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from agy_nb.cassette.errors import CassetteInvalidError
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.exchanges import clean_uri
from agy_nb.cassette.redaction.http.http_bodies import encoding_of
from agy_nb.cassette.redaction.rules.field_names import harmless_header
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
            decode_compressed_response=True,
        )
        context = recorder.use_cassette(
            str(self._path), match_on=["method", "scheme", "host", "port", "path", "query", "body"]
        )
        try:
            self._stack.enter_context(context)
        except Exception as error:
            raise CassetteInvalidError(
                f"{self._path} is not a file of vcrpy: {error}", path=str(self._path.parent)
            ) from error

    def close(self) -> None:
        """Remove the patches, and write the recorded requests to disk."""
        self._stack.close()

    def _request(self, request: Any) -> Any:
        request.uri = clean_uri(request.uri, self._redactor.text)
        request.headers = {
            name: value for name, value in request.headers.items() if harmless_header(name)
        }
        request.body = self._clean(request.body, encoding_of(request.headers.items()))
        _fix_boundary(request)
        return request

    def _response(self, response: dict[str, Any]) -> dict[str, Any]:
        headers = {
            name: values for name, values in response["headers"].items() if harmless_header(name)
        }
        encoding = encoding_of(response["headers"].items())
        body = {"string": self._clean(response["body"]["string"], encoding)}
        return response | {"headers": headers, "body": body}

    def _clean(self, body: Any, encoding: str) -> Any:
        if isinstance(body, str):
            return self._redactor.text(body)
        return self._redactor.body(body, encoding=encoding) if isinstance(body, bytes) else body


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
