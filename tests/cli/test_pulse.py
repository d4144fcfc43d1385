"""Somebody outside notices when the watcher stops working, however it stops."""

import queue
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import PATIENCE, running
from watchkeeper.notify.heartbeat import beside
from watchkeeper.settings import HeartbeatSettings

Beat = tuple[str, str, str]


@pytest.fixture
def receiver() -> Iterator[tuple[str, "queue.Queue[Beat]"]]:
    """A real receiver: its URL, and what it hears."""
    heard: queue.Queue[Beat] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            heard.put((self.command, self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/beat", heard
        server.shutdown()
        thread.join()


def silent(heard: "queue.Queue[Beat]", seconds: float) -> bool:
    """Whether nothing more comes once what was under way has come."""
    time.sleep(0.3)
    while not heard.empty():
        heard.get_nowait()
    try:
        heard.get(timeout=seconds)
    except queue.Empty:
        return True
    return False


def test_pings_come_while_it_works_and_stop_when_it_is_stopped_wedged_or_killed(
    tmp_path: Path, receiver: tuple[str, "queue.Queue[Beat]"]
) -> None:
    url, heard = receiver
    environment = {
        "WATCHKEEPER_NOTIFY__HEARTBEAT__URL": "env:BEAT",
        "BEAT": url,
        "WATCHKEEPER_NOTIFY__HEARTBEAT__EVERY": "0.3",
        "WATCHKEEPER_NOTIFY__HEARTBEAT__FAIL_URL": "/fail",
    }
    data = tmp_path / "data"
    with running(data, "--quiet", **environment) as up:
        assert heard.get(timeout=PATIENCE) == ("GET", "/beat", "")
        assert heard.get(timeout=PATIENCE) == ("GET", "/beat", "")

        up.process.send_signal(signal.SIGSTOP)
        assert silent(heard, 1.5)
        up.process.send_signal(signal.SIGCONT)
        assert heard.get(timeout=PATIENCE)[1] == "/beat"

        store = sqlite3.connect(data / "watchkeeper.db", timeout=PATIENCE, isolation_level=None)
        store.execute("BEGIN EXCLUSIVE")  # nobody else can write
        beats = iter(lambda: heard.get(timeout=PATIENCE), None)
        method, path, body = next(beat for beat in beats if beat[1] != "/beat")
        assert (method, path) == ("POST", "/beat/fail")
        assert "he store cannot be written" in body
        there = httpx.get(f"http://127.0.0.1:{up.port}/readyz")
        assert there.status_code == 503
        assert "he store cannot be written" in there.json()["problems"][0]
        assert httpx.get(f"http://127.0.0.1:{up.port}/healthz").status_code == 200, "a restart would not mend it"
        store.execute("ROLLBACK")
        store.close()
        assert next(beat for beat in beats if beat[1] == "/beat")

        up.process.kill()
        up.process.wait()
        assert silent(heard, 1.0)


def test_systemd_is_told_when_it_is_ready_that_it_lives_and_that_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(path))
        told.settimeout(PATIENCE)
        with running(tmp_path / "data", "--quiet", NOTIFY_SOCKET=str(path), WATCHDOG_USEC="900000") as up:
            assert told.recv(4096).split(b"\n")[0] == b"READY=1"
            assert told.recv(4096) == b"WATCHDOG=1"
            assert told.recv(4096) == b"WATCHDOG=1"

            up.process.send_signal(signal.SIGSTOP)
            told.settimeout(0.3)
            with pytest.raises(TimeoutError):
                list(iter(lambda: told.recv(4096), b""))
            told.settimeout(PATIENCE)
            up.process.send_signal(signal.SIGCONT)
            assert told.recv(4096) == b"WATCHDOG=1"
            up.stop()
            while (said := told.recv(4096)) == b"WATCHDOG=1":
                pass
            assert said == b"STOPPING=1"


def test_what_failing_means_is_appended_or_taken_as_the_query() -> None:
    assert beside("https://hc.example/abc", "/fail") == "https://hc.example/abc/fail"
    assert beside("https://kuma.example/push/a?status=up", "?status=down") == "https://kuma.example/push/a?status=down"
    assert beside("https://a.example/x", "https://b.example/y") == "https://b.example/y"


@pytest.mark.parametrize(("said", "seconds"), [("60s", 60.0), ("2m", 120.0), (30, 30.0), ("45", 45.0)])
def test_how_often_is_said_in_seconds_or_with_a_unit(said: Any, seconds: float) -> None:
    assert HeartbeatSettings(url="https://x.example", every=said).every == seconds
