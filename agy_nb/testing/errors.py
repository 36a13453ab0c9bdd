"""Errors of a scripted model.

```
AgyError
  + ScriptError               base of the errors of a scripted model
      + InvalidScriptError    the script has a wrong type
      + ScriptExhaustedError  the model was called after the last turn of its script
      + NoScriptError         no script matches the conversation of a call
      + ScriptCrashedError    a callable script raised, or did not return a turn
      + TurnsUnusedError      turns of the script were not used (strict mode)
```

The model answers such a call with HTTP 400 and the message. It adds the error to
`ScriptedModel.errors`. `ScriptedModel.check()` and the end of `async with` raise the first one.
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class ScriptError(AgyError):
    """Base of the errors of a scripted model.

    What to do: correct the script for the call that the message names.

    Attributes:
        request_number: Number of the model call, from 1; None without a call.

    Example:
        >>> try:
        ...     ScriptedModel("Hello")
        ... except ScriptError as error:
        ...     print(error)
        a script must be a turn or a list of turns, got 'Hello'; write say('Hello')
    """

    def __init__(self, message: str, *, request_number: int | None = None) -> None:
        super().__init__(message)
        self.request_number = request_number


class InvalidScriptError(ScriptError):
    """The script has a wrong type, or two turns cannot be added.

    What to do: make turns with `say`, `call`, `fail` and the other functions of `agy_nb.testing`.

    Example:
        >>> ScriptedModel(["Hello"])
        Traceback (most recent call last):
        agy_nb.testing.errors.InvalidScriptError: a step must be a turn or a function, got ...
    """


class ScriptExhaustedError(ScriptError):
    """The model was called after the last turn of its script.

    What to do: add a turn. The harness calls the model again after each tool result, and repeats a
    call after a 429, a 5xx or an unusable answer.

    Attributes:
        played: Number of turns of the script; all of them were used.

    Example:
        >>> async with ScriptedModel([call("get_weather", city="Paris")]) as model:
        ...     agent = await agy.create_agent(model.config(), tools=[get_weather])
        ...     await (await agent.chat("How is the weather?"))
        Traceback (most recent call last):
        agy_nb.testing.errors.ScriptExhaustedError: call 2 has no turn: the script has 1 ...
    """

    def __init__(self, message: str, *, played: int, request_number: int | None = None) -> None:
        super().__init__(message, request_number=request_number)
        self.played = played


class NoScriptError(ScriptError):
    """No script matches the conversation of a call.

    What to do: add a script for it, or a last one with the key `""`, which matches every
    conversation.

    Example:
        >>> async with ScriptedModel({"Paris": [say("Sunny.")]}) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await (await agent.chat("How is Rome?"))
        Traceback (most recent call last):
        agy_nb.testing.errors.NoScriptError: no script for the conversation of call 1 (user: ...
    """


class ScriptCrashedError(ScriptError):
    """A callable script raised (see `__cause__`), or its answer is not a turn that can be sent.

    What to do: fix the function. It must return a turn, made with `say`, `call`, `fail` and so on.

    Example:
        >>> async with ScriptedModel(lambda request: request.user_text) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     await (await agent.chat("Hello"))
        Traceback (most recent call last):
        agy_nb.testing.errors.ScriptCrashedError: the script must return a ModelTurn for call 1, ...
    """


class TurnsUnusedError(ScriptError):
    """Turns of a `strict` script were not used.

    What to do: find out why the agent stopped early, or remove the turns.

    Attributes:
        unused: Number of unused turns.

    Example:
        >>> ScriptedModel([say("Hello.")], strict=True).check()
        Traceback (most recent call last):
        agy_nb.testing.errors.TurnsUnusedError: 1 turn of the script was not used, ...
    """

    def __init__(self, message: str, *, unused: int) -> None:
        super().__init__(message)
        self.unused = unused
