"""Errors and the warning of `agy_nb.kernel`.

```
AgyError
  + KernelError           the kernel, or its absence, does not allow what was asked
      + CannotBlockError  `run()` was called on a loop that cannot be nested: await instead
      + NoStdinError      no text question can be asked here
UserWarning
  + KernelWarning       something works less well on this kernel; shown once
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class KernelError(AgyError):
    """The kernel, or its absence, does not allow what was asked.

    What to do: what the message says; `agy-nb doctor` shows what works here.

    Example:
        >>> from agy_nb.kernel import CannotBlockError, KernelError
        >>> issubclass(CannotBlockError, KernelError)
        True
    """


class CannotBlockError(KernelError):
    """`run()` was called from a running event loop that cannot be nested.

    What to do: `await` the coroutine, and use the async method instead of its `.sync` form.

    Attributes:
        reason: Why not.

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
    """No text question can be asked here: nobody would see it.

    What to do: pass a handler that answers by itself, or run this where a person can type.

    Attributes:
        reason: Why not.

    Example:
        >>> from agy_nb.kernel import NoStdinError
        >>> print(NoStdinError("this front end does not take input"))
        cannot ask for input: this front end does not take input. Pass a handler that answers, ...
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"cannot ask for input: {reason}. Pass a handler that answers, "
            "or run this where a person can type."
        )
        self.reason = reason


class KernelWarning(UserWarning):
    """Something works less well on this kernel than it could.

    What to do: nothing must be done; the text names the version of ipykernel that does it.

    Example:
        >>> import warnings
        >>> from agy_nb.kernel import KernelWarning
        >>> warnings.simplefilter("ignore", KernelWarning)  # not to be told
    """
