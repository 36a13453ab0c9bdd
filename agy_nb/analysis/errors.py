"""Errors of the tables. Problems of single recordings are rows of the table `problems`.

```
AgyError
  + MissingExtraError      a package is not installed; `extra` names the extra of agy-nb
  + SpansNotExportedError  an exporter refused spans; `exported` spans were sent before

UserWarning
  + MissingPricesWarning   cost is NA because no price table is installed; shown once
```
"""

from __future__ import annotations

from agy_nb.errors import AgyError


class MissingExtraError(AgyError, ImportError):
    """An optional package is not installed.

    What to do: install the extra that the message names into the kernel's environment, and restart
    the kernel.

    Attributes:
        extra: Name of the extra, for `pip install 'agy-nb[extra]'`.

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

    What to do: read the exporter's log, and check the receiver's address. You can export again:
    spans keep their ids.

    Attributes:
        exported: Number of spans that were sent before.

    Example:
        >>> from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
        >>> class Refuses(SpanExporter):
        ...     def export(self, spans):
        ...         return SpanExportResult.FAILURE
        >>> agy.load("cassettes/plain_chat").to_otel(Refuses())
        Traceback (most recent call last):
        agy_nb.analysis.errors.SpansNotExportedError: Refuses refused spans after 0; see ...
    """

    def __init__(self, message: str, *, exported: int) -> None:
        super().__init__(message)
        self.exported = exported


class MissingPricesWarning(UserWarning):
    """Costs are NA because no price table is installed. Shown once per process.

    What to do: `pip install 'agy-nb[cost]'`, or pass your own prices with `with_prices`.

    Example:
        >>> import warnings
        >>> from agy_nb.analysis.errors import MissingPricesWarning
        >>> warnings.simplefilter("ignore", MissingPricesWarning)  # hide it
    """
