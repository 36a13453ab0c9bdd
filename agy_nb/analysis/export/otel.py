"""Exports spans with any exporter of OpenTelemetry: `tables.to_otel(exporter)`.

The SDK of OpenTelemetry is an extra, which is imported on first use. Global state does not change.
"""

from __future__ import annotations

import itertools
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.errors import MissingExtraError, SpansNotExportedError
from agy_nb.analysis.export.spans import Span, spans_of
from agy_nb.analysis.metrics.groups import Source

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_VERSION = version("agy-nb")  # once, because the look-up reads the disk
BATCH = 512
"""Spans per request, as in OpenTelemetry's own batches."""


def to_otel(
    source: Source,
    exporter: SpanExporter,
    *,
    resource: Resource | None = None,
    arguments: bool = False,
) -> int:
    """Export each finished turn as a trace; `agy_nb.analysis.export.spans` lists the attributes.

    The function blocks until the exporter has all spans. On an event loop, use a thread: `await
    asyncio.to_thread(tables.to_otel, exporter)`. You can export again: spans keep their ids.

    Args:
        source: Tables.
        exporter: An exporter, such as `OTLPSpanExporter()`. It is not shut down.
        resource: Resource of the spans. None uses the environment (`OTEL_SERVICE_NAME`), or the
            service `agy-nb`.
        arguments: Whether to export the arguments of tools, redacted and shortened.

    Returns:
        Number of exported spans.

    Raises:
        MissingExtraError: The SDK of OpenTelemetry is not installed.
        SpansNotExportedError: The exporter refused spans.

    Example:
        >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        >>> exporter = InMemorySpanExporter()
        >>> agy.load("cassettes/plain_chat").to_otel(exporter)
        4
        >>> [span.name.split()[0] for span in exporter.get_finished_spans()][:2]
        ['invoke_agent', 'chat']
    """
    try:
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError:
        raise MissingExtraError("spans need the SDK of OpenTelemetry", "otel") from None
    shared = _Shared(resource)
    exported = 0
    spans = spans_of(source, arguments=arguments)
    while batch := [shared.convert(span) for span in itertools.islice(spans, BATCH)]:
        if exporter.export(batch) is not SpanExportResult.SUCCESS:
            name = type(exporter).__name__
            msg = f"{name} refused spans after {exported}; see the exporter's log, and try again"
            raise SpansNotExportedError(msg, exported=exported)
        exported += len(batch)
    return exported


class _Shared:
    """Attributes that all spans of an export share."""

    def __init__(self, resource: Resource | None) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._resource = _resource() if resource is None else resource
        self._scope = InstrumentationScope("agy_nb", _VERSION)
        self._flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        self._kinds = {"internal": trace.SpanKind.INTERNAL, "client": trace.SpanKind.CLIENT}

    def _context(self, trace_id: int, span_id: int) -> Any:
        from opentelemetry.trace import SpanContext

        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=self._flags)

    def convert(self, span: Span) -> ReadableSpan:
        """Convert a span to that of OpenTelemetry."""
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import Status, StatusCode

        status = Status() if span.error is None else Status(StatusCode.ERROR, span.error or None)
        parent = None if span.parent_id is None else self._context(span.trace_id, span.parent_id)
        return ReadableSpan(
            span.name,
            context=self._context(span.trace_id, span.span_id),
            parent=parent,
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(m.name, dict(m.attributes), m.at) for m in span.moments],
            kind=self._kinds[span.kind],
            status=status,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


def _resource() -> Resource:
    """Read the resource of the environment. `Resource.create` would block on threads."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.version import __version__

    ours = {
        "service.name": "agy-nb",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": __version__,
    }
    return Resource(ours).merge(OTELResourceDetector().detect())
