"""Find the recorded answer to a request to the model, with vcrpy's `Cassette`.

Each answer is used once: for the first request that equals the recorded one, or else for the first
that differs only where redaction left a mark.
"""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agy_nb.cassette.errors import CassetteInvalidError, CassetteMismatchError
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.matching.compare_requests import (
    body_digest,
    canonical_body,
    first_alike,
)
from agy_nb.cassette.matching.text_diff import diff_of
from agy_nb.cassette.remedies import ACCEPT_UNPLAYED, RECORD_AGAIN, ignore
from agy_nb.cassette.storage.model_log import has_model, read_model
from agy_nb.wire.stored.literal_marks import unmarked


class Exchange(NamedTuple):
    """A recorded request, as vcrpy's `Request`, and its response in vcrpy's format."""

    request: Any
    response: dict[str, Any]


class Interactions:
    """The recorded requests to the model, with their answers.

    Args:
        path: The cassette's folder.
        comparer: Compares the bodies of requests.
        conversation: Id of a recorded conversation: only its requests are used, unless no request
            has the id. Empty for all requests.
    """

    def __init__(
        self, path: Path, comparer: Comparer | None = None, *, conversation: str = ""
    ) -> None:
        self._path = path
        self._conversation = conversation
        self._comparer = comparer or Comparer()
        self._stack = contextlib.ExitStack()
        self._cassette: Any = None

    def open(self) -> None:
        """Read the recorded requests from disk.

        Raises:
            CassetteInvalidError: The cassette has no requests to the model, or cannot be read.
        """
        import vcr
        from vcr.patch import PATCHER_NAMES

        folder = str(self._path)
        if not has_model(self._path):
            raise CassetteInvalidError(
                f'{folder} has no recorded requests to the model, which seam="model" needs; '
                'replay it with seam="wire", or record it again',
                path=folder,
            )
        recorder = vcr.VCR(record_mode="none")
        recorder.register_matcher("agy", _same)
        recorder.register_persister(_Disk(self._conversation))
        context = recorder.use_cassette(folder, match_on=["agy"], skip_patchers=PATCHER_NAMES)
        try:
            self._cassette = self._stack.enter_context(context)
        except CassetteInvalidError:
            raise
        except Exception as error:
            raise CassetteInvalidError(
                f"{folder}: the requests to the model cannot be read: {error}", path=folder
            ) from error
        if not len(self._cassette):
            raise CassetteInvalidError(
                f"{folder} has no recorded requests to the model; record it again", path=folder
            )

    def close(self) -> None:
        """Close vcrpy's cassette."""
        self._stack.close()

    def play(self, request: Any) -> Exchange | None:
        """Return the answer to a request, and mark it as used.

        Returns:
            The recorded exchange; None if no unused answer fits.
        """
        recorded = self._find(request)
        if recorded is None:
            return None
        # vcrpy gives out the object that it holds; ours is changed for this run.
        response: dict[str, Any] = copy.deepcopy(self._cassette.play_response(recorded))
        return Exchange(recorded, response)

    def _find(self, request: Any) -> Any:
        """Return the recorded request whose answer comes next, None if there is none."""
        left = [recorded for recorded in self._left() if _same_address(recorded, request)]
        digest = body_digest(request.body)
        for recorded in left:
            if body_digest(recorded.body) == digest:
                return recorded
        return first_alike(left, request.body, lambda each: each.body, self._comparer)

    def mismatch(self, request: Any) -> CassetteMismatchError:
        """Return the error for a request that was not recorded."""
        folder = str(self._path)
        left = self._left()
        path = urlsplit(request.uri).path
        near = [r for r in left if urlsplit(r.uri).path == path] or left
        if not near:
            return CassetteMismatchError(
                f"{folder}: the harness asks the model more often than was recorded.",
                remedies=(RECORD_AGAIN,),
                path=folder,
                phase="extra",
                actual=canonical_body(request.body),
            )
        expected, actual = canonical_body(near[0].body), canonical_body(request.body)
        difference = self._comparer.first(expected, actual)
        diff = diff_of(difference) if difference else f"{near[0].uri}\n{request.uri}"
        diff = unmarked(diff)
        where = difference.path if difference else "uri"
        return CassetteMismatchError(
            f"{folder}: a request to the model differs from the recording.\n"
            f"{where} differs:\n{diff}",
            remedies=(RECORD_AGAIN, *([ignore(difference.path)] if difference else [])),
            path=folder,
            phase="model",
            expected=expected,
            actual=actual,
            diff=diff,
        )

    def unplayed(self) -> CassetteMismatchError | None:
        """Return the error for recorded requests that were never made, None if all were."""
        left = self._left()
        if not left:
            return None
        folder = str(self._path)
        return CassetteMismatchError(
            f"{folder}: {len(left)} recorded requests to the model were never made, "
            f"first {left[0].uri}.",
            remedies=(RECORD_AGAIN, ACCEPT_UNPLAYED),
            path=folder,
            phase="unplayed",
        )

    def _left(self) -> list[Any]:
        """Return the recorded requests that have not been made."""
        counts = self._cassette.play_counts
        return [request for i, (request, _) in enumerate(self._cassette.data) if not counts[i]]


class _Disk:
    """vcrpy's persister: it reads the interactions of a cassette, and never writes."""

    def __init__(self, conversation: str) -> None:
        self._conversation = conversation

    def load_cassette(self, folder: str, serializer: Any) -> Any:
        from vcr.request import Request
        from vcr.serializers.compat import convert_to_bytes

        del serializer
        found = read_model(Path(folder))
        if own := [item for item in found if self._conversation in _text(item["request"]["body"])]:
            found = own
        for response in (item["response"] for item in found):
            if not all(
                isinstance(response.get(name), dict) for name in ("status", "headers", "body")
            ):
                raise CassetteInvalidError(
                    f"{folder}: a response of the model is damaged", path=folder
                )
        requests = [Request._from_dict(item["request"]) for item in found]  # noqa: SLF001 - as vcrpy
        return requests, [convert_to_bytes(item["response"]) for item in found]

    @staticmethod
    def save_cassette(folder: str, interactions: Any, serializer: Any) -> None:
        del folder, interactions, serializer


def _text(body: str | bytes | None) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""


def _same_address(one: Any, other: Any) -> bool:
    paths = [urlsplit(request.uri)[2:4] for request in (one, other)]
    return bool(one.method == other.method) and paths[0] == paths[1]


def _same(one: Any, other: Any) -> None:
    assert _same_address(one, other), "another address"
    assert body_digest(one.body) == body_digest(other.body), "another body"
