"""The exports of tables: Arrow, Parquet, CSV, Excel, a report, and spans of OpenTelemetry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter


class Exports:
    """Exports of tables."""

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table by its name."""
        raise NotImplementedError(name)

    def to_arrow(self, name: str) -> Any:
        """Convert a table to Arrow. Polars and DuckDB read it without a copy.

        Args:
            name: A table of the page Tables, such as `"turns"`.

        Returns:
            A `pyarrow.Table`.

        Raises:
            KeyError: The name is unknown.
            MissingExtraError: pyarrow is not installed.
        """
        from agy_nb.analysis.export.files import to_arrow

        return to_arrow(self.frame(name))

    def to_parquet(self, folder: str | Path) -> None:
        """Write each table as a data set, partitioned by day if it has times.

        Args:
            folder: The target, created if needed. Data sets of an earlier call are replaced.

        Raises:
            InvalidInputError: The folder has another file in the place of a data set.
            MissingExtraError: pyarrow is not installed.
        """
        from agy_nb.analysis.export.files import to_parquet

        to_parquet(self, Path(folder))

    def to_csv(self, folder: str | Path) -> None:
        """Write each table as a CSV file that is safe to open in a spreadsheet.

        Args:
            folder: The target, created if needed.

        Raises:
            InvalidInputError: The folder's name ends in `.csv`, as that of a file.
        """
        from agy_nb.analysis.export.files import to_csv

        to_csv(self, Path(folder))

    def to_excel(self, file: str | Path) -> None:
        """Write the tables as a workbook, with a sheet for each table with rows.

        Times are UTC without a zone, in columns that end in `_utc`. Durations are seconds, in
        columns that end in `_s`. Texts are cut at 32,767 characters, and never are formulas.

        Args:
            file: The workbook, ending in `.xlsx`; replaced if it exists.

        Raises:
            InvalidInputError: The name does not end in `.xlsx`, or a table has more rows than a
                sheet.
            MissingExtraError: xlsxwriter is not installed.
        """
        from agy_nb.analysis.export.excel import to_excel

        to_excel(self, Path(file))

    def to_report(
        self, file: str | Path, *, title: str = "Agent usage", tz: str | None = None
    ) -> None:
        """Write one HTML page: totals, cost over time, outliers, slowest tools and failures.

        The page needs no network and no script, so you can send it by mail.

        Args:
            file: The page; replaced if it exists.
            title: Heading of the page.
            tz: Time zone of days; None for the local one.

        Raises:
            InvalidInputError: The time zone is unknown.
        """
        from agy_nb.analysis.export.report import to_report

        to_report(self, Path(file), title=title, tz=tz)

    def to_otel(
        self,
        exporter: SpanExporter,
        *,
        resource: Resource | None = None,
        arguments: bool = False,
    ) -> int:
        """Export each finished turn as a trace of OpenTelemetry's GenAI spans.

        Args:
            exporter: An exporter, such as `OTLPSpanExporter()`. It is not shut down.
            resource: Resource of the spans. None uses the environment (`OTEL_SERVICE_NAME`), or
                the service `agy-nb`.
            arguments: Whether to export the arguments of tools, redacted and shortened.

        Returns:
            Number of exported spans.

        Raises:
            MissingExtraError: The SDK of OpenTelemetry is not installed.
            SpansNotExportedError: The exporter refused spans.
        """
        from agy_nb.analysis.export.otel import to_otel

        return to_otel(self, exporter, resource=resource, arguments=arguments)
