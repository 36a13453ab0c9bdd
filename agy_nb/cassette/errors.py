"""The errors of cassettes.

```
AgyError
  + CassetteError                base class; `path` is the cassette's folder
      + CassetteNotFoundError    the cassette does not exist, and the record mode is "none"
      + CassetteInvalidError     the path is not a cassette, or the cassette cannot be read
      + CassetteBusyError        another recording writes to the cassette
      + CassetteNotWrittenError  the recording could not be saved; an older cassette is unchanged
      + EchoRecordingError       the recording would contain the echo model
      + CassetteActiveError      another cassette is in use; cassettes do not nest
      + CassetteMismatchError    the code sends something else than the recorded client
      + RebuildError             the conversation of a recording cannot be rebuilt
```
"""

from __future__ import annotations

from agy_nb.cassette.remedies import Place, Remedy, advice
from agy_nb.errors import AgyError
from agy_nb.terminal import printable


class CassetteError(AgyError):
    """Base of the errors about cassettes.

    What to do: follow the message. `path` is the cassette's folder.

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
    """The cassette does not exist, and `record_mode="none"` does not record.

    What to do: check the path, or record the cassette with `record_mode="once"`.

    Example:
        >>> async with agy.use_cassette("cassettes/none", record_mode="none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteNotFoundError: there is no cassette at cassettes/none...
    """


class CassetteInvalidError(CassetteError):
    """The path is not a cassette, or the cassette cannot be read.

    What to do: pass the folder of a cassette; `agy-nb cassette list FOLDER` lists the cassettes
    below a folder. `agy-nb cassette verify` shows the faults of a cassette. Record a damaged
    cassette again with `record_mode="all"`.

    Example:
        >>> async with agy.use_cassette("cassettes", record_mode="none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteInvalidError: cassettes is not a cassette: it has no ...
    """


class CassetteBusyError(CassetteError):
    """Another process or task is recording this cassette.

    What to do: wait for the end of the other recording, or record into another folder.

    Example:
        >>> issubclass(agy.CassetteBusyError, agy.CassetteError)
        True
    """


class CassetteNotWrittenError(CassetteError):
    """The recording could not be saved. A cassette that existed before is unchanged.

    What to do: free some space, or choose a folder that you can write to. If the message says that
    there are no frames, start an agent in the block.

    Example:
        >>> async with agy.use_cassette("/proc/none"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteNotWrittenError: /proc/none could not be recorded: ...
    """


class EchoRecordingError(CassetteError):
    """The agent has no key and no model, so the recording would contain the echo model.

    A replay would then repeat the prompt for good, also with a key.

    What to do: set `GEMINI_API_KEY`, or name a model in the configuration, such as that of
    `agy_nb.testing.ScriptedModel`. To record the echo model on purpose, use `record_mode="all"`
    and `echo=True`.

    Example:
        >>> async with agy.use_cassette("cassettes/hello"):
        ...     agent = await agy.create_agent()
        Traceback (most recent call last):
        agy_nb.cassette.errors.EchoRecordingError: cassettes/hello is not recorded: no ...
    """


class CassetteActiveError(CassetteError):
    """Another cassette is in use in this process; cassettes do not nest.

    What to do: record several agents into one cassette, or use the cassettes one after the other.

    Example:
        >>> async with agy.use_cassette("cassettes/one"), agy.use_cassette("cassettes/two"):
        ...     pass
        Traceback (most recent call last):
        agy_nb.cassette.errors.CassetteActiveError: the cassette cassettes/one is in use; ...
    """


class CassetteMismatchError(CassetteError):
    """The code under replay sends something else than the recorded client.

    What to do: read the difference in the message. Correct the code, record again with
    `record_mode="all"`, or pass `differs_at` to `ignore=` if the difference does not matter.

    Attributes:
        phase: Kind of mismatch: `config`, `prompt`, `answer`, `extra`, `ended`, `stalled`,
            `not_allowed`, `unplayed`, `request`, `model`.
        session: Number of the recorded session, from 0.
        turn: Number of the turn in the session, from 1; 0 before the first.
        expected: The recorded frame, None if the recording has no more frames.
        actual: The frame that the code sent, None if it sent none.
        diff: Unified diff of the part that differs.
        differs_at: Path of that part, for `ignore=`; empty if ignoring it would not help.
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
        self.args: tuple[object, ...] = (self.text("python"),)
        self.phase = phase
        self.session = session
        self.turn = turn
        self.expected = expected
        self.actual = actual
        self.diff = diff
        self.differs_at = differs_at

    def text(self, place: Place | None) -> str:
        """Write the message with the advice for one place, safe to print.

        Args:
            place: Where the advice is followed: in Python or in a shell. None for no advice.

        Returns:
            One line or several.
        """
        what_to_do = advice(self.remedies, place) if place else ""
        return printable("\n".join(filter(None, (self._what, what_to_do))))


class RebuildError(CassetteError):
    """The conversation of a recording cannot be rebuilt, and no agent was started.

    What to do: fork an earlier turn, or another session. The message names the turn, and the part
    that cannot be rebuilt: a call of a built-in tool, of an MCP server or of a subagent, which
    would run a second time, a trigger, or a difference from the recording.

    Example:
        >>> await agy.fork("cassettes/builtin_file_tools")
        Traceback (most recent call last):
        agy_nb.cassette.errors.RebuildError: turn 1 of session 0 of cassettes/builtin_file_tools ...
    """
