"""What can go wrong with a cassette.

```
AgyError
  + CassetteError                base; `path` names the cassette
      + CassetteNotFoundError    there is none, and the record mode forbids to record one
      + CassetteInvalidError     what is there is no cassette, or cannot be read
      + CassetteBusyError        somebody else records it at this moment
      + CassetteNotWrittenError  the disk refused; what was there before is still there
      + CassetteActiveError      a cassette is in use already; they do not nest
      + CassetteMismatchError    the client does not do what was recorded
```
"""

from __future__ import annotations

from agy_nb.cassette.remedies import Place, Remedy, advice
from agy_nb.errors import AgyError
from agy_nb.terminal import printable


class CassetteError(AgyError):
    """Base of the errors about cassettes.

    What to do: what the message says; `path` names the cassette.

    Attributes:
        path: The cassette's folder.

    Example:
        >>> try:
        ...     async with agy.use_cassette("cassettes/none", "none"):
        ...         pass
        ... except agy.CassetteError as error:
        ...     error.path
        'cassettes/none'
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class CassetteNotFoundError(CassetteError):
    """There is no cassette of that name, and the record mode forbids to record one.

    What to do: record it once with `record_mode="once"`, or correct the path.

    Example:
        >>> async with agy.use_cassette("cassettes/none", record_mode="none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteNotFoundError: there is no cassette at cassettes/none...
    """


class CassetteInvalidError(CassetteError):
    """What is there is no cassette, or cannot be read; the message says where and why.

    What to do: name the folder of a cassette; `agy-nb cassette list FOLDER` shows where there are
    any, `agy-nb cassette verify` what is wrong with one. One that is damaged is recorded again with
    `record_mode="all"`.

    Example:
        >>> async with agy.use_cassette("cassettes", record_mode="none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteInvalidError: cassettes is no cassette: it has no ...
    """


class CassetteBusyError(CassetteError):
    """Another process, or another task, records this cassette at this moment.

    What to do: wait until it is done, or record into another folder.

    Example:
        >>> issubclass(agy.CassetteBusyError, agy.CassetteError)
        True
    """


class CassetteNotWrittenError(CassetteError):
    """The recording could not be kept; the cassette that was there before is untouched.

    What to do: free some space, choose a folder that can be written, or a block in which an agent
    is started.

    Example:
        >>> async with agy.use_cassette("/proc/none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteNotWrittenError: /proc/none could not be recorded: ...
    """


class CassetteActiveError(CassetteError):
    """A cassette is in use in this process already; they do not nest.

    What to do: record several agents into one cassette, or use one after the other.

    Example:
        >>> async with agy.use_cassette("cassettes/one"), agy.use_cassette("cassettes/two"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteActiveError: the cassette cassettes/one is in use; ...
    """


class CassetteMismatchError(CassetteError):
    """The client does not do what was recorded.

    What to do: the message names what differs and what to do about it: correct the code, record
    again with `record_mode="all"`, or pass `differs_at` as `ignore=` if this difference means
    nothing.

    Attributes:
        phase: What went wrong: `config`, `prompt`, `answer`, `extra`, `ended`, `stalled`,
            `not_allowed`, `unplayed`, `request`, `model`.
        session: Number of the recorded session, from 0.
        turn: Number of the turn in it, from 1; 0 before the first.
        expected: The recorded frame, None where nothing more was recorded.
        actual: The frame that came, None where none came.
        diff: Unified diff of the part that differs.
        differs_at: Path of that part, as `ignore=` takes it; empty where that would not help.
        remedies: What to do about it. The message has them as Python; `text` has them for a shell.

    Example:
        >>> async with agy.use_cassette("cassettes/plain_chat", record_mode="none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteMismatchError: cassettes/plain_chat: the recording was ...
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
        remedies: tuple[Remedy, ...] = (),
    ) -> None:
        super().__init__(message, path=path)
        self._what = message
        self.remedies = remedies
        self.args = (self.text("python"),)
        self.phase = phase
        self.session = session
        self.turn = turn
        self.expected = expected
        self.actual = actual
        self.diff = diff
        self.differs_at = differs_at

    def text(self, place: Place) -> str:
        """Write the message with the advice for one place, safe to print.

        Args:
            place: Where the advice is followed: in Python or in a shell.

        Returns:
            One line or several.
        """
        return printable("\n".join(filter(None, (self._what, advice(self.remedies, place)))))
