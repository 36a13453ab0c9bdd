"""What can go wrong with tables, beside what the sessions themselves tell in `problems`.

```
AgyError
  + MissingExtra       a package is not installed; `extra` names what to install
  + SpansNotExported   an exporter of spans refused them; `exported` had gone out before
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class MissingExtra(AgyError, ImportError):
    """A package that this needs is not installed.

    Attributes:
        extra: What to install: `pip install 'agy-nb[extra]'`.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what}, which is not installed: pip install 'agy-nb[{extra}]'")
        self.extra = extra


class SpansNotExported(AgyError):
    """An exporter refused spans.

    Attributes:
        exported: Spans that had gone out before.
    """

    def __init__(self, message: str, *, exported: int) -> None:
        super().__init__(message)
        self.exported = exported
