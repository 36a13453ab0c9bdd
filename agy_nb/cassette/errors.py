"""What can go wrong with a cassette.

```
AgyError
  + CassetteError              base; `path` names the cassette
      + CassetteNotFound       there is none, and the record mode forbids to record one
      + CassetteInvalid        what is there is no cassette, or cannot be read
      + CassetteBusy           somebody else records it at this moment
      + CassetteNotWritten     the disk refused; what was there before is still there
      + CassetteActive         a cassette is in use already; they do not nest
      + CassetteMismatch       the client does not do what was recorded
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class CassetteError(AgyError):
    """Base of the errors about cassettes.

    Attributes:
        path: The cassette's folder.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class CassetteNotFound(CassetteError):
    """There is no cassette of that name, and none may be recorded."""


class CassetteInvalid(CassetteError):
    """What is there is no cassette, or cannot be read; the message says where and why."""


class CassetteBusy(CassetteError):
    """Another process, or another task, records this cassette at this moment."""


class CassetteNotWritten(CassetteError):
    """The recording could not be kept; the cassette that was there before is untouched."""


class CassetteActive(CassetteError):
    """A cassette is in use in this process already."""


class CassetteMismatch(CassetteError):
    """The client does not do what was recorded.

    Attributes:
        phase: What went wrong: `config`, `prompt`, `answer`, `extra`, `ended`, `stalled`,
            `unplayed`, `request`.
        session: Number of the recorded session, from 0.
        turn: Number of the turn in it, from 1; 0 before the first.
        expected: The recorded frame, None where nothing more was recorded.
        actual: The frame that came, None where none came.
        diff: Unified diff of the part that differs.
        differs_at: Path of that part, as `ignore=` takes it; empty where that would not help.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        phase: str = "",
        session: int = 0,
        turn: int = 0,
        expected: object = None,
        actual: object = None,
        diff: str = "",
        differs_at: str = "",
    ) -> None:
        super().__init__(message, path=path)
        self.phase = phase
        self.session = session
        self.turn = turn
        self.expected = expected
        self.actual = actual
        self.diff = diff
        self.differs_at = differs_at
