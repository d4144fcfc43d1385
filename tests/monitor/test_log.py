"""Single predictions and all errors are logged as JSON, and no sink slows or breaks a prediction."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from watchkeeper_monitor import (
    Log,
    ModelCollector,
    Monitor,
    MonitorMiddleware,
    Otlp,
    RotatingFile,
    StandardLogging,
    Stdout,
    Structlog,
    request,
)
from watchkeeper_monitor.lines import Line
from watchkeeper_monitor.log import LogFigures

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PATIENCE = 60.0


@dataclass(frozen=True)
class Kept:
    """Keeps lines; waits before each batch until it may go on."""

    name: str = "kept"
    lines: list[str] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def opened(self) -> "Kept":
        return self

    def write(self, lines: Sequence[Line]) -> None:
        assert self.open.wait(PATIENCE)
        self.lines.extend(line.text() for line in lines)

    def close(self) -> None:
        pass


def kept(*, stuck: bool = False) -> Kept:
    sink = Kept()
    if not stuck:
        sink.open.set()
    return sink


def logged(monitor: Monitor) -> list[LogFigures]:
    assert monitor.logs is not None
    assert monitor.logs.flush(PATIENCE)
    return monitor.logged


def read(monitor: Monitor, sink: Kept) -> list[dict[str, Any]]:
    logged(monitor)
    return [json.loads(line) for line in sink.lines]


def collected(monitor: Monitor) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ModelCollector(monitor))
    return registry


def failing(text: str) -> None:
    raise ValueError(f"no answer for {text}")


def test_a_line_says_all_of_a_prediction_but_its_input() -> None:
    sink = kept()
    monitor = Monitor("bot", "1.4.0", log=Log(sink, share=1))
    with request(id="r-1", traceparent=PARENT):
        monitor.track("card", confidence=0.92, latency_seconds=0.031, text="where is my card", id="4711")
    (line,) = read(monitor, sink)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "prediction",
        "model": "bot",
        "version": "1.4.0",
        "request_id": "r-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "id": "4711",
        "prediction": "card",
        "confidence": 0.92,
        "latency_ms": 31.0,
        "input_length": 16,
    }


def test_the_input_is_logged_only_when_asked_and_redacted() -> None:
    plain, own = kept(), kept()
    monitor = Monitor("bot", log=Log(plain, share=1, texts=True))
    monitor.track("card", text="I am ada@example.org")
    assert read(monitor, plain)[0]["input"] == "I am [email]"
    monitor = Monitor("bot", log=Log(own, share=1, texts=str.upper))
    monitor.track("card", text="where")
    assert read(monitor, own)[0]["input"] == "WHERE"


def test_predictions_are_sampled_and_errors_never() -> None:
    sink = kept()
    monitor = Monitor("bot", log=Log(sink, share=0.1, waiting=100_000))
    for number in range(5000):
        monitor.track("card")
        if number % 10 == 0:
            monitor.error("refused")
    events = [line["event"] for line in read(monitor, sink)]
    assert events.count("error") == 500
    assert 400 <= events.count("prediction") <= 600
    assert monitor.summary().predictions == 5000


def test_an_error_has_its_type_message_and_stack_and_holds_no_frame() -> None:
    sink = kept()
    monitor = Monitor("bot", log=Log(sink, share=0))
    with request(traceparent=PARENT), pytest.raises(ValueError, match="no answer"), monitor.timed():
        failing("ada@example.org")
    (line,) = read(monitor, sink)
    assert (line["level"], line["error_type"], line["error_message"]) == (
        "error",
        "ValueError",
        "no answer for [email]",
    )
    assert line["trace_id"] == PARENT.split("-")[1]
    assert "in failing" in line["stack"]
    assert "ada@" not in line["stack"]


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("name", ["two\nlines", "half \ud800 a pair", "\x00\x1b[31m\u2028", "x" * 10_000_000, Rude()])
def test_hostile_values_make_one_valid_line(name: Any) -> None:
    sink = kept()
    monitor = Monitor("bot", log=Log(sink, share=1, texts=True))
    with request(id=str(name) if isinstance(name, str) else "r"):
        monitor.track(
            name, confidence=float("nan"), text=name if isinstance(name, str) else None, latency_seconds=1e400
        )
        monitor.error(ValueError(name))
        monitor.error(Rude())
    lines = read(monitor, sink)
    assert [line["event"] for line in lines] == ["prediction", "error", "error"]
    assert (lines[0]["confidence"], lines[0]["latency_ms"]) == (None, None)
    assert all(len(line) < 40_000 and line.isascii() and line.isprintable() for line in sink.lines)
    for line in lines:
        json.dumps(line, ensure_ascii=False).encode()  # Unicode through and through


def test_a_sink_that_is_stuck_holds_up_nobody_and_drops_are_counted() -> None:
    stuck, fast = kept(stuck=True), kept()
    monitor = Monitor("bot", log=Log(stuck, fast, share=1, waiting=1000))
    for _ in range(3400):
        monitor.track("card")
    monitor.error("refused")
    said = monitor.summary()
    figures, other = said.system.logs
    assert (said.predictions, figures.sink, other.sink) == (3400, "kept", "kept 2")
    assert figures.dropped >= 3400 - 1000 - 256 - 1
    assert figures.dropped + figures.waiting == 3401
    assert figures.problem == "too slow: 1,000 lines waited"
    assert f"{figures.dropped:,} of kept" in str(said)
    text = generate_latest(collected(monitor)).decode()
    assert (
        f'watchkeeper_model_log_lines_dropped_total{{model="bot",sink="kept",version="unknown"}} {figures.dropped}'
        in text
    )
    stuck.open.set()
    logged(monitor)
    assert json.loads(stuck.lines[-1])["event"] == "error"  # a flood of predictions left room for it


def test_the_end_does_not_wait_for_a_sink_that_is_stuck() -> None:
    stuck = kept(stuck=True)
    monitor = Monitor("bot", log=Log(stuck, share=1))
    for _ in range(600):
        monitor.track("card")
    monitor.logs.close(0.05) if monitor.logs else None
    (figures,) = monitor.logged
    assert figures.dropped + figures.waiting == 600
    stuck.open.set()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_told_and_lines_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor("bot", log=Log(RotatingFile("/dev/full"), share=1))
    for _ in range(10):
        monitor.track("card")
    (figures,) = logged(monitor)
    assert (figures.written, figures.dropped, figures.problem) == (0, 10, "No space left on device")
    assert "the log to file /dev/full loses lines: No space left on device" in caplog.text


def test_files_rotate_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "bot-{pid}.log"
    monitor = Monitor("bot", log=Log(RotatingFile(path, most_bytes=4000, keep=100), share=1))
    for number in range(200):
        monitor.track("card", input_length=number)
    assert logged(monitor)[0].written == 200
    files = list((tmp_path / "logs").iterdir())
    assert f"bot-{os.getpid()}.log" in {each.name for each in files}
    assert len(files) > 5
    assert all(each.stat().st_size <= 4000 for each in files)
    lengths = [json.loads(line)["input_length"] for each in files for line in each.read_text().splitlines()]
    assert sorted(lengths) == list(range(200))


def test_a_file_that_somebody_moved_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    monitor = Monitor("bot", log=Log(RotatingFile(path), share=1))
    for place in ("bot.log.old", "bot.log"):
        monitor.track("card")
        logged(monitor)
        path.rename(tmp_path / place)
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("bot.log.old", "bot.log")] == [1, 1]


def test_stdout_gets_whole_lines(capfd: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor("bot", log=Log(Stdout(), share=1))
    monitor.track("card")
    logged(monitor)
    assert json.loads(capfd.readouterr().out)["prediction"] == "card"


def test_standard_logging_gets_a_record_for_each_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "watchkeeper.predictions")
    monitor = Monitor("bot", log=Log(StandardLogging(), share=1))
    monitor.track("100 %s")
    monitor.error("refused")
    logged(monitor)
    found = [record for record in caplog.records if record.name == "watchkeeper.predictions"]
    assert [record.levelname for record in found] == ["INFO", "ERROR"]
    assert json.loads(found[0].getMessage())["prediction"] == found[0].__dict__["fields"]["prediction"] == "100 %s"


def test_structlog_gets_an_event_for_each_line() -> None:
    structlog.reset_defaults()
    monitor = Monitor("bot", log=Log(Structlog(), share=1))
    with capture_logs() as events:
        monitor.track("card", confidence=0.5)
        monitor.error("refused")
        logged(monitor)
    assert [(each["event"], each["log_level"], each["model"]) for each in events] == [
        ("prediction", "info", "bot"),
        ("error", "error", "bot"),
    ]


@pytest.fixture
def collector() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))) | {"path": self.path})
            self.send_response(503 if len(got) == 1 else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_a_collector_gets_records_with_their_trace(collector: tuple[str, list[dict[str, Any]]]) -> None:
    url, got = collector
    monitor = Monitor("bot", "1.4.0", log=Log(Otlp(url), share=1))
    monitor.track("card")
    assert (logged(monitor)[0].dropped, logged(monitor)[0].problem) == (1, "OSError: the collector answered 503")
    with request(traceparent=PARENT):
        monitor.track("card", confidence=0.5, latency_seconds=0.25)
        monitor.error(KeyError("x"))
    assert logged(monitor)[0].written == 2
    resources = [each["resourceLogs"][0] for each in got[1:]]
    assert got[1]["path"] == "/v1/logs"
    assert {"key": "service.version", "value": {"stringValue": "1.4.0"}} in resources[0]["resource"]["attributes"]
    first, second = (record for each in resources for record in each["scopeLogs"][0]["logRecords"])
    assert (first["severityNumber"], second["severityNumber"]) == (9, 17)
    assert first["traceId"] == PARENT.split("-")[1]
    assert {"key": "latency_ms", "value": {"doubleValue": 250.0}} in first["attributes"]
    assert {"key": "exception.type", "value": {"stringValue": "KeyError"}} in second["attributes"]


async def test_a_request_gives_its_predictions_its_id_its_trace_and_its_latency() -> None:
    sink = kept()
    monitor = Monitor("bot", log=Log(sink, share=1))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        monitor.track("card", confidence=0.5)
        await send({"type": "http.response.start", "status": 200})
        if scope["path"].endswith("crash"):
            raise ValueError("bad")

    async def nothing(message: Any = None) -> Any:
        return {}

    served = MonitorMiddleware(app, monitor=monitor)
    headers = [(b"x-request-id", b"r-7"), (b"traceparent", PARENT.encode())]
    await served({"type": "http", "path": "/predict", "headers": headers}, nothing, nothing)
    with pytest.raises(ValueError, match="bad"):
        await served(
            {"type": "http", "path": "/crash", "headers": [(b"traceparent", b"00-nonsense")]}, nothing, nothing
        )
    first, error, second = read(monitor, sink)
    assert (first["request_id"], first["trace_id"]) == ("r-7", PARENT.split("-")[1])
    assert first["latency_ms"] > 0
    assert error["request_id"] == second["request_id"] != "r-7"
    assert (error["event"], error["trace_id"]) == ("error", None)


def test_the_trace_of_opentelemetry_goes_before_that_of_a_header() -> None:
    sink = kept()
    monitor = Monitor("bot", log=Log(sink, share=1))
    span = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))
    with request(id="r", traceparent=PARENT), trace.use_span(span):
        monitor.track("card")
    (line,) = read(monitor, sink)
    assert (line["request_id"], line["trace_id"], line["span_id"]) == ("r", f"{0xABC:032x}", f"{0xDEF:016x}")


def test_a_batch_is_logged_as_its_rows_would_be() -> None:
    sink = kept()
    monitor = Monitor("bot", log=Log(sink, share=1))
    monitor.track_batch(["card", "cash"], confidences=[0.5, 0.75])
    assert [(line["prediction"], line["confidence"]) for line in read(monitor, sink)] == [("card", 0.5), ("cash", 0.75)]


def test_each_forked_child_writes_its_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    monitor = Monitor("bot", log=Log(RotatingFile(path), share=1))
    monitor.track("parent")
    logged(monitor)
    if not (child := os.fork()):
        with contextlib.suppress(BaseException):
            monitor.track("child")
            logged(monitor)
        os._exit(0)
    os.waitpid(child, 0)
    monitor.track("parent")
    logged(monitor)
    lines = [json.loads(line)["prediction"] for line in path.read_text().splitlines()]
    assert lines == ["parent", "child", "parent"]


def test_what_makes_no_log_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share is one of predictions, 0 to 1, not 2"):
        Log(share=2)
    with pytest.raises(ValueError, match="waiting counts lines"):
        Log(waiting=0)
