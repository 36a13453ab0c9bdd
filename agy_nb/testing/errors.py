"""Every error of a scripted model.

```
AgyError
  + ScriptError               a scripted model could not play its script
      + InvalidScriptError    what was passed is no script
      + ScriptExhaustedError  a request came and no turn was left for it
      + NoScriptError         a request came from a conversation that no script matches
      + ScriptCrashedError    a callable script raised, or answered with what is no turn
      + TurnsUnusedError      turns are left that nobody asked for (strict mode)
```

The model answers such a request with an HTTP 400 that carries the message, keeps the error in
`ScriptedModel.errors`, and raises it from `ScriptedModel.check()` and at the end of `async with`.
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class ScriptError(AgyError):
    """A scripted model could not play its script.

    What to do: correct the script; the message says which call it has no answer for.

    Attributes:
        request_number: Which request it was, counted from 1; None where there was none.

    Example:
        >>> try:
        ...     ScriptedModel("Hello")
        ... except ScriptError as error:
        ...     print(error)
        'Hello' is no script; write say('Hello') for a spoken answer
    """

    def __init__(self, message: str, *, request_number: int | None = None) -> None:
        super().__init__(message)
        self.request_number = request_number


class InvalidScriptError(ScriptError):
    """What was passed is no script; raised where the script is made.

    What to do: make turns with `say`, `call`, `fail` and their kin.

    Example:
        >>> ScriptedModel(["Hello"])
        Traceback (most recent call last):
        agy_nb.testing.errors.InvalidScriptError: 'Hello' is no turn; use say(), call(), ...
    """


class ScriptExhaustedError(ScriptError):
    """The model was asked once more than its script has turns.

    What to do: add a turn. The harness calls again after each tool result, and tries again by
    itself after a 429, a 5xx or an answer that it cannot use.

    Attributes:
        played: How many turns the script had; all of them were played.

    Example:
        >>> async with ScriptedModel([call("get_weather", city="Paris")]) as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await (await agent.chat("How is the weather?"))
        Traceback (most recent call last):
        agy_nb.testing.errors.ScriptExhaustedError: the script is over: ...
    """

    def __init__(self, message: str, *, played: int, request_number: int | None = None) -> None:
        super().__init__(message, request_number=request_number)
        self.played = played


class NoScriptError(ScriptError):
    """No matcher takes the conversation that the request belongs to.

    What to do: add a script for it, or a last one with the key `""` that takes all.

    Example:
        >>> async with ScriptedModel({"Paris": [say("Sunny.")]}) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await (await agent.chat("How is Rome?"))
        Traceback (most recent call last):
        agy_nb.testing.errors.NoScriptError: no script for the conversation of call 1 (user: ...
    """


class ScriptCrashedError(ScriptError):
    """A callable script raised (see `__cause__`), or answered with what is no turn.

    What to do: mend the function; it gives a turn, made with `say`, `call`, `fail` and their kin.

    Example:
        >>> async with ScriptedModel(lambda request: request.user_text) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await (await agent.chat("Hello"))
        Traceback (most recent call last):
        agy_nb.testing.errors.ScriptCrashedError: the script answered call 1 with 'Hello', ...
    """


class TurnsUnusedError(ScriptError):
    """The test is over and the script is not; only where it is `strict`.

    What to do: find out why the agent stopped early, or take the turns out.

    Attributes:
        unused: How many turns are left.

    Example:
        >>> ScriptedModel([say("Hello.")], strict=True).check()
        Traceback (most recent call last):
        agy_nb.testing.errors.TurnsUnusedError: 1 of the script's turns were never asked for, ...
    """

    def __init__(self, message: str, *, unused: int) -> None:
        super().__init__(message)
        self.unused = unused
