"""Errors and the warning of `agy_nb.kernel`.

```
AgyError
  + KernelError         the kernel, or its absence, does not allow what was asked
      + CannotBlock     `run()` was called on a loop that cannot be nested: await instead
      + NoStdin         no text question can be asked here
UserWarning
  + KernelWarning       something works less well on this kernel; shown once
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class KernelError(AgyError):
    """The kernel, or its absence, does not allow what was asked."""


class CannotBlock(KernelError):
    """`run()` was called from a running event loop that cannot be nested."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"cannot block here: {reason}; write `await coro` instead of run(coro), "
            "and the async method instead of its .sync form"
        )
        self.reason = reason


class NoStdin(KernelError):
    """No text question can be asked here: nobody would see it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no text can be asked for: {reason}; pass a handler that answers, "
            "or run this where a person can type"
        )
        self.reason = reason


class KernelWarning(UserWarning):
    """Something works less well on this kernel than it could."""
