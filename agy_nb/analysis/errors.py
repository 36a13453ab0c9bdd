"""What can go wrong with tables, beside what the sessions themselves tell in `problems`.

```
AgyError
  + MissingExtraError      a package is not installed; `extra` names what to install
  + SpansNotExportedError  an exporter of spans refused them; `exported` had gone out before
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class MissingExtraError(AgyError, ImportError):
    """A package that this needs is not installed.

    What to do: install the extra that the message names, in the kernel's own environment, and
    restart the kernel.

    Attributes:
        extra: What to install: `pip install 'agy-nb[extra]'`.

    Example:
        >>> from agy_nb.analysis.errors import MissingExtraError
        >>> raise MissingExtraError("plot_usage needs Matplotlib", "plot")
        Traceback (most recent call last):
        agy_nb.analysis.errors.MissingExtraError: plot_usage needs Matplotlib, which is not ...
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what}, which is not installed: pip install 'agy-nb[{extra}]'")
        self.extra = extra


class SpansNotExportedError(AgyError):
    """An exporter refused spans.

    What to do: look at the exporter's own log, most of the time at the receiver's address. To
    export again is safe: spans keep their ids.

    Attributes:
        exported: Spans that had gone out before.

    Example:
        >>> from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
        >>> class Refuses(SpanExporter):
        ...     def export(self, spans):
        ...         return SpanExportResult.FAILURE
        >>> agy.load("cassettes/plain_chat").to_otel(Refuses())
        Traceback (most recent call last):
        agy_nb.analysis.errors.SpansNotExportedError: Refuses refused spans after 0; it logs why...
    """

    def __init__(self, message: str, *, exported: int) -> None:
        super().__init__(message)
        self.exported = exported
