"""Traces of what language models are asked, sent by OTLP over HTTP: who, how long, how many tokens; never what."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchkeeper.domain import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import TracerProvider

SECONDS = 5.0
"""For one batch to be taken; nothing waits for it."""


def tracing(url: str) -> "TracerProvider":
    """Spans go to `url` (…/v1/traces) in batches, from a thread of its own. What cannot be sent is thrown away. Raises
    ConfigurationError where the libraries are missing."""
    try:
        sdk, export, otlp, resources, status = (
            import_module(name)
            for name in (
                "opentelemetry.sdk.trace",
                "opentelemetry.sdk.trace.export",
                "opentelemetry.exporter.otlp.proto.http.trace_exporter",
                "opentelemetry.sdk.resources",
                "opentelemetry.trace.status",
            )
        )
    except ImportError as problem:
        raise ConfigurationError(
            f"llm.traces: the libraries that send traces are not there ({problem}).", "pip install 'watchkeeper[llm]'"
        ) from None

    class Discreet(otlp.OTLPSpanExporter):
        """Without what errors say in words: a provider's complaint may repeat what it was sent."""

        def export(self, spans: "Sequence[Any]") -> Any:
            clean = [_without_words(sdk, status, span) for span in spans]
            return otlp.OTLPSpanExporter.export(self, clean)

    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": "watchkeeper"}))
    provider.add_span_processor(export.BatchSpanProcessor(Discreet(endpoint=url, timeout=SECONDS)))
    return provider


def _without_words(sdk: Any, status: Any, span: Any) -> Any:
    return sdk.ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        links=span.links,
        kind=span.kind,
        status=status.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
