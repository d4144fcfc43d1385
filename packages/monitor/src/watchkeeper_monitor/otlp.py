"""Lines of the log to an OpenTelemetry collector: OTLP over HTTP as JSON, by the standard library.

Names and encoding: opentelemetry-proto 1.x, `ExportLogsServiceRequest` in JSON Protobuf; ids are hexadecimal there.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from watchkeeper_monitor.lines import Line

SECONDS = 10.0
"""For which an answer is waited for (the default of OTEL_EXPORTER_OTLP_TIMEOUT)."""
SEVERITY = {"info": 9, "error": 17}
_FIRST = ("time", "level", "trace_id", "span_id")
"""What is not an attribute."""
_NAMES = {"error_type": "exception.type", "error_message": "exception.message", "stack": "exception.stacktrace"}
"""What the semantic conventions have a name for."""


@dataclass(frozen=True, slots=True)
class Otlp:
    """To a collector; without `endpoint` where OTEL_EXPORTER_OTLP_LOGS_ENDPOINT or …_OTLP_ENDPOINT says.

    `headers` are sent with it, besides those of OTEL_EXPORTER_OTLP_HEADERS.
    """

    endpoint: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def name(self) -> str:
        return "otlp"

    @property
    def url(self) -> str:
        """Where to; `/v1/logs` is added to a base address, as the specification of the exporter has it."""
        own = os.environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
        if self.endpoint is None and own:
            return own
        base = self.endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
        base = base.rstrip("/")
        return base if base.endswith("/v1/logs") else f"{base}/v1/logs"

    def opened(self) -> "_Collector":
        said = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
        pairs = [each.split("=", 1) for each in said.split(",") if "=" in each]
        return _Collector(self.url, {name.strip(): unquote(value.strip()) for name, value in pairs} | self.headers)


class _Collector:
    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise ValueError("its endpoint is no address: write http://HOST:4318")
        self._headers = {"Content-Type": "application/json"} | headers

    def write(self, lines: Sequence[Line]) -> None:
        import http.client

        url = self._url
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=SECONDS)
        try:
            path = f"{url.path}?{url.query}" if url.query else url.path
            connection.request("POST", path, json.dumps(request_of(lines)).encode(), self._headers)
            answer = connection.getresponse()
            answer.read(1 << 16)
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise OSError(f"the collector answered {answer.status}")

    def close(self) -> None:
        pass


def request_of(lines: Sequence[Line]) -> dict[str, Any]:
    """An ExportLogsServiceRequest. All lines are of one monitor."""
    first = lines[0].fields()
    resource = {"service.name": first["model"], "service.version": first["version"]}
    scope = {"scope": {"name": "watchkeeper_monitor"}, "logRecords": [_record(line) for line in lines]}
    return {"resourceLogs": [{"resource": {"attributes": _attributes(resource)}, "scopeLogs": [scope]}]}


def _record(line: Line) -> dict[str, Any]:
    fields = line.fields()
    said = {_NAMES.get(name, name): value for name, value in fields.items() if name not in _FIRST and value is not None}
    record: dict[str, Any] = {
        "timeUnixNano": str(int(line.at * 1e9)),
        "severityNumber": SEVERITY[line.level],
        "severityText": line.level.upper(),
        "body": {"stringValue": line.text()},
        "attributes": _attributes(said),
    }
    if fields["trace_id"]:
        record |= {"traceId": fields["trace_id"], "spanId": fields["span_id"]}
    return record


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": str(value)}
