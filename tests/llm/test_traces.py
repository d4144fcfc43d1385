"""Spans of each request, at a collector on loopback: who, how long, how many tokens; what only where it is wished."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.llm.conftest import Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, always
from watchkeeper.domain.resource import LogLine
from watchkeeper.store import Store
from watchkeeper.store.scanning import Scanner
from watchkeeper.telemetry.traces import tracing

KEY = "AIzaSyTestKeyThatIsASecret0123456789abcd"
Spans = list[Any]


@contextmanager
def collector() -> Generator[tuple[str, list[bytes]]]:
    """Where it is reached, and what it was sent."""
    taken: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", taken
    server.shutdown()
    server.server_close()


def spans(taken: list[bytes]) -> Spans:
    return [
        span
        for body in taken
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value for one in span.attributes}


async def traced(store: Store, *replies: Reply, log: str, **said: Any) -> tuple[Loopback, list[bytes], str]:
    """The model that was asked for a plan, what the collector got of it, and for which incident."""
    about, at = case(used_memory_ratio=0.6)
    around = Around(at)
    around.lines.append(LogLine(at.at, "ERROR", log, "local/lab/redis/cache"))
    with collector() as (url, taken):
        async with Loopback(always(*replies)) as model:
            made = planner(store, model.url, around, **said)
            made.traces = tracing(url, Scanner(store.masker).text)
            thought = await made.plan(about, at)
            await asyncio.to_thread(made.traces.shutdown)
    assert thought.plan is not None
    return model, taken, about.id


async def test_spans_tell_tokens_and_never_a_word_of_the_prompt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GEMINI", KEY)
    broken = Reply(status=503, text="marmalade is overloaded")
    wrong = Reply(call=("hand_in", answer(evidence=["L77"])))
    good = Reply(call=("hand_in", answer(cause="Too much marmalade.")))
    model, taken, incident = await traced(store, wrong, broken, good, log="marmalade in the log")
    assert "marmalade" in model.requests[0].text
    sent = b"".join(taken)
    assert sent
    for word in (b"marmalade", b"You are the planner", b"used_memory", b"L77"):
        assert word not in sent
    found = spans(taken)
    said = {span.name: attributes(span) for span in found}
    assert said["chat gemini-2.5-pro"]["gen_ai.request.model"].string_value == "gemini-2.5-pro"
    by_id = {span.span_id: span for span in found}
    agents = {by_id[span.parent_span_id].parent_span_id for span in found if span.name.startswith("chat ")}
    assert {by_id[key].name for key in agents} == {"watchkeeper plan"}
    assert said["watchkeeper plan"]["watchkeeper.incident"].string_value == incident
    tokens = [a.value.int_value for s in found for a in s.attributes if a.key == "gen_ai.usage.input_tokens"]
    assert 1000 in tokens


async def test_with_content_spans_hold_what_was_sent_and_said_but_no_secret(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenTelemetry's conventions have it for who opts in. What a model says may hold what it should not know."""
    monkeypatch.setenv("TEST_GEMINI", KEY)
    leak = f"Too much marmalade; password=hunter2hunter2 and {KEY}\n-----BEGIN PRIVATE KEY-----\nMIIEvQ\nIBADAN\n"
    broken = Reply(status=503, text="quince is overloaded")
    good = Reply(call=("hand_in", answer(cause=leak)))
    log = "marmalade in the log, token=abcdefgh12345678"
    _, taken, _ = await traced(store, broken, good, log=log, trace_content=True)
    chat = next(span for span in spans(taken) if span.name == "chat local")
    said = {name: value.string_value for name, value in attributes(chat).items()}
    asked, answered = json.loads(said["gen_ai.input.messages"]), json.loads(said["gen_ai.output.messages"])
    assert "marmalade in the log" in json.dumps(asked)
    assert answered[0]["role"] == "assistant"
    assert "Too much marmalade" in json.dumps(answered)
    assert "You are the planner" in said["gen_ai.system_instructions"]
    sent = b"".join(taken)
    for secret in (b"hunter2hunter2", KEY.encode(), b"IBADAN", b"abcdefgh12345678", b"quince"):
        assert secret not in sent
