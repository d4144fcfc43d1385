"""A real Prometheus that scrapes real exporters of a real Redis, and pages of metrics that a test writes."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import RedisServer, free_port, start_redis

PATIENCE = 60.0
"""Seconds until what must come has come, or the test fails."""
KINDS = ("postgres", "nginx", "http", "container", "service")
"""Jobs for what exporters of other kinds tell."""
NEEDED = {"prometheus": "prometheus", "prometheus-redis-exporter": "prometheus-redis-exporter"}


class Pages(BaseHTTPRequestHandler):
    """`/NAME` is what a test has written under it; 404 where that is nothing."""

    written: dict[str, str]

    def do_GET(self) -> None:
        text = self.written.get(self.path.strip("/"), "").encode()
        with suppress(BrokenPipeError, ConnectionResetError):  # a scrape that took too long is given up
            self.send_response(200 if text else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass
class Stand:
    """Everything, on free ports of loopback; scraped once a second."""

    redis: RedisServer
    prometheus: int
    exporter: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    """By name of the job: what it exposes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.prometheus}"

    @property
    def instance(self) -> str:
        return f"127.0.0.1:{self.exporter}"

    def start_exporter(self) -> None:
        command = ["prometheus-redis-exporter", "--redis.addr", self.redis.url, "--web.listen-address", self.instance]
        self.processes["exporter"] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop_exporter(self) -> None:
        self.end("exporter")

    def end(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def empty(self) -> None:
        """Nothing is in the Redis, and Prometheus has seen it: others look at the same."""
        with self.redis.client() as client:
            client.flushall()
        self.until(f"redis_memory_used_bytes < {8 << 20}")

    def until(self, query: str) -> None:
        """Return once the query has an answer that is not empty."""
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            over = threading.Event()
            timer = threading.Timer(PATIENCE, over.set)
            timer.start()
            try:
                while not over.wait(0.1):  # the rate of asking: Prometheus tells nobody
                    try:
                        answer = client.get(f"{self.url}/api/v1/query", params={"query": query}).json()
                    except (httpx.TransportError, ValueError):  # while it starts it speaks no JSON
                        continue
                    if answer.get("data", {}).get("result"):
                        return
            finally:
                timer.cancel()
        raise AssertionError(f"Prometheus never had {query}")


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    for program, package in NEEDED.items():
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install {package}")
    folder = tmp_path_factory.mktemp("prometheus")
    redis = start_redis(folder, "--maxmemory", "32mb")
    there = Stand(redis, free_port(), free_port())
    pages = ThreadingHTTPServer(("127.0.0.1", 0), type("Written", (Pages,), {"written": there.pages}))
    serving = threading.Thread(target=pages.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        there.start_exporter()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(there, pages.server_address[1])))
        with (folder / "log").open("wb") as log:
            there.processes["prometheus"] = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{there.prometheus}",
                    "--scrape.discovery-reload-interval=100ms",  # else it waits five seconds before the first scrape
                ],
                stdout=log,
                stderr=log,
            )
        there.until("redis_up")
        yield there
    finally:
        for name in list(there.processes):
            there.end(name)
        pages.shutdown()
        serving.join()
        pages.server_close()
        redis.stop()
        assert redis.process.stdout is not None
        redis.process.stdout.close()


def _configuration(there: Stand, pages: int) -> dict[str, Any]:
    written = [
        {
            "job_name": job,
            "scrape_interval": "300ms",
            "scrape_timeout": "300ms",
            "metrics_path": f"/{job}",
            "static_configs": [{"targets": [f"127.0.0.1:{pages}"]}],
        }
        for job in ("stuck", "partial", "twins", "queue", *KINDS)
    ]
    real = {"job_name": "redis", "static_configs": [{"targets": [there.instance]}]}
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [real, *written]}
