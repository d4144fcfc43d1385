"""Traces of what language models are asked, sent by OTLP over HTTP: who, how long, how many tokens; what was sent and
said only where that is wished, and without secrets."""

import json
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from watchkeeper.domain import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import TracerProvider

SECONDS = 5.0
"""For one batch to be taken; nothing waits for it."""


def tracing(url: str, clean: Callable[[str], str]) -> "TracerProvider":
    """Spans go to `url` (…/v1/traces) in batches, from a thread of its own. What cannot be sent is thrown away. `clean`
    takes secrets out of a text. Raises ConfigurationError where the libraries are missing."""
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
            return otlp.OTLPSpanExporter.export(self, [_discreet(sdk, status, span, clean) for span in spans])

    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": "watchkeeper"}))
    provider.add_span_processor(export.BatchSpanProcessor(Discreet(endpoint=url, timeout=SECONDS)))
    return provider


def _discreet(sdk: Any, status: Any, span: Any, clean: Callable[[str], str]) -> Any:
    return sdk.ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: _clean(value, clean) for name, value in span.attributes.items()},
        links=span.links,
        kind=span.kind,
        status=status.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _clean(value: Any, clean: Callable[[str], str]) -> Any:
    """Messages are JSON in a string: taken apart first, for a secret of several lines looks otherwise in there."""
    if not isinstance(value, str):
        return value
    if value[:1] in ("[", "{"):
        try:
            return json.dumps(_within(json.loads(value), clean), ensure_ascii=False)
        except ValueError:
            pass
    return clean(value)


def _within(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_within(one, clean) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _within(one, clean) for name, one in cast("dict[str, Any]", value).items()}
    return value
