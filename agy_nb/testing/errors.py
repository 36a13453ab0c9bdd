"""Every error of a scripted model.

```
AgyError
  + ScriptError          a scripted model could not play its script
      + InvalidScript    what was passed is no script
      + ScriptExhausted  a request came and no turn was left for it
      + NoScript         a request came from a conversation that no script matches
      + ScriptCrashed    a callable script raised, or answered with what is no turn
      + TurnsUnused      turns are left that nobody asked for (strict mode)
```

The model answers such a request with an HTTP 400 that carries the message, keeps the error in
`ScriptedModel.errors`, and raises it from `ScriptedModel.check()` and at the end of `async with`.
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class ScriptError(AgyError):
    """A scripted model could not play its script.

    Attributes:
        request_number: Which request it was, counted from 1; None where there was none.
    """

    def __init__(self, message: str, *, request_number: int | None = None) -> None:
        super().__init__(message)
        self.request_number = request_number


class InvalidScript(ScriptError):
    """What was passed is no script; raised where the script is made."""


class ScriptExhausted(ScriptError):
    """The model was asked once more than its script has turns.

    Attributes:
        played: How many turns the script had; all of them were played.
    """

    def __init__(self, message: str, *, played: int, request_number: int | None = None) -> None:
        super().__init__(message, request_number=request_number)
        self.played = played


class NoScript(ScriptError):
    """No matcher takes the conversation that the request belongs to."""


class ScriptCrashed(ScriptError):
    """A callable script raised (see `__cause__`), or answered with what is no turn."""


class TurnsUnused(ScriptError):
    """The test is over and the script is not.

    Attributes:
        unused: How many turns are left.
    """

    def __init__(self, message: str, *, unused: int) -> None:
        super().__init__(message)
        self.unused = unused
