"""Errors and the warning of `agy_nb.kernel`.

```
AgyError
  + KernelError           the operation needs a kernel, or a feature that this kernel lacks
      + CannotBlockError  `run()` was called on a loop that cannot be nested: await instead
      + NoStdinError      the user cannot be asked for text here
UserWarning
  + KernelWarning       a feature does not fully work on this kernel; shown once
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class KernelError(AgyError):
    """The operation needs a kernel, or a feature that this kernel lacks.

    What to do: follow the message. `agy-nb doctor` shows which features work here.

    Example:
        >>> from agy_nb.kernel import CannotBlockError, KernelError
        >>> issubclass(CannotBlockError, KernelError)
        True
    """


class CannotBlockError(KernelError):
    """`run()` was called from a running event loop that cannot be nested.

    What to do: `await` the coroutine, and use the async method instead of its `.sync` form.

    Attributes:
        reason: Why the call cannot block.

    Example:
        >>> from agy_nb.kernel import CannotBlockError
        >>> print(CannotBlockError("an event loop is already running here"))
        cannot block here: an event loop is already running here. Use `await coro` instead ...
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"cannot block here: {reason}. Use `await coro` instead of run(coro), "
            "and the async method instead of its .sync form."
        )
        self.reason = reason


class NoStdinError(KernelError):
    """The user cannot be asked for a line of text here.

    What to do: pass a handler that answers without asking, or use a front end that takes input.

    Attributes:
        reason: Why the user cannot be asked.

    Example:
        >>> from agy_nb.kernel import NoStdinError
        >>> print(NoStdinError("this front end does not take input"))
        cannot ask for input: this front end does not take input. Pass a handler that answers, ...
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"cannot ask for input: {reason}. Pass a handler that answers, "
            "or use a front end that takes input."
        )
        self.reason = reason


class KernelWarning(UserWarning):
    """A feature does not fully work on this kernel.

    What to do: nothing, or install another version of ipykernel. The text names the cause.

    Example:
        >>> import warnings
        >>> from agy_nb.kernel import KernelWarning
        >>> warnings.simplefilter("ignore", KernelWarning)  # hide it
    """
