"""Spans of each request, at a collector on loopback: who, how long, how many tokens; never what."""

import asyncio
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.llm.conftest import Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, always
from watchkeeper.domain.resource import LogLine
from watchkeeper.store import Store
from watchkeeper.telemetry.traces import tracing


async def test_spans_tell_tokens_and_never_a_word_of_the_prompt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GEMINI", "AIzaSyTestKeyThatIsASecret0123456789abcd")
    taken: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=collector.serve_forever, daemon=True).start()
    about, at = case(used_memory_ratio=0.6)
    around = Around(at)
    around.lines.append(LogLine(at.at, "ERROR", "marmalade in the log", "local/lab/redis/cache"))
    broken = Reply(status=503, text="marmalade is overloaded")
    wrong = Reply(call=("hand_in", answer(evidence=["L77"])))
    good = Reply(call=("hand_in", answer(cause="Too much marmalade.")))
    async with Loopback(always(wrong, broken, good)) as model:
        made = planner(store, model.url, around)
        made.traces = tracing(f"http://127.0.0.1:{collector.server_port}/v1/traces")
        thought = await made.plan(about, at)
        await asyncio.to_thread(made.traces.shutdown)
    collector.shutdown()
    collector.server_close()
    assert thought.plan is not None
    assert "marmalade" in model.requests[0].text
    sent = b"".join(taken)
    assert sent
    for word in (b"marmalade", b"You are the planner", b"used_memory", b"L77"):
        assert word not in sent
    spans = [
        span
        for body in taken
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    said = {span.name: {one.key: one.value for one in span.attributes} for span in spans}
    chat = said["chat gemini-2.5-pro"]
    assert chat["gen_ai.request.model"].string_value == "gemini-2.5-pro"
    by_id = {span.span_id: span for span in spans}
    agents = {by_id[span.parent_span_id].parent_span_id for span in spans if span.name.startswith("chat ")}
    assert {by_id[key].name for key in agents} == {"watchkeeper plan"}
    assert said["watchkeeper plan"]["watchkeeper.incident"].string_value == about.id
    tokens = [a.value.int_value for s in spans for a in s.attributes if a.key == "gen_ai.usage.input_tokens"]
    assert 1000 in tokens
