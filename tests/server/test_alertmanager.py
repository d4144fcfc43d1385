"""A real Prometheus notices, a real Alertmanager tells us, and tells us when it is over."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import free_port
from tests.server.conftest import Thing
from watchkeeper.domain.outside import OutsideAlert
from watchkeeper.server import Runtime

READY_SECONDS = 60.0


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def ready(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(READY_SECONDS):
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/-/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)  # nothing tells when a server listens


@pytest.fixture
def target() -> int:
    return free_port()


@pytest.fixture
def stack(thing: Thing, target: int, address: str, runtime: Runtime, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Both, configured as docs/alerts-in.md says; a target of which Prometheus says whose it is."""
    manager, prometheus = free_port(), free_port()
    (tmp_path / "token").write_text(runtime.token)
    files = {
        "alertmanager.yml": {
            "route": {"receiver": "watchkeeper", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [
                {
                    "name": "watchkeeper",
                    "webhook_configs": [
                        {
                            "url": f"{address}/api/ingest/alertmanager",
                            "http_config": {"authorization": {"credentials_file": str(tmp_path / "token")}},
                        }
                    ],
                }
            ],
        },
        "rules.yml": {
            "groups": [
                {
                    "name": "things",
                    "rules": [
                        {
                            "alert": "ThingDown",
                            "expr": "up == 0",
                            "labels": {"severity": "critical"},
                            "annotations": {"summary": "{{ $labels.instance }} cannot be scraped."},
                        }
                    ],
                }
            ]
        },
        "prometheus.yml": {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
            "scrape_configs": [
                {
                    "job_name": "things",
                    "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": {"service": thing.name}}],
                }
            ],
        },
    }
    for name, content in files.items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    with (
        running(
            "prometheus-alertmanager",
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{manager}",
            "--cluster.listen-address=",
        ),
        running(
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        ),
    ):
        yield manager, prometheus


async def test_an_alert_of_prometheus_arrives_and_resolves(
    thing: Thing, stack: tuple[int, int], target: int, runtime: Runtime
) -> None:
    await asyncio.gather(*(ready(port) for port in stack))
    fired = await thing.event("outside.firing")
    kept = await runtime.store.get(OutsideAlert, fired.subject)
    assert (kept.name, kept.severity, kept.resource) == ("ThingDown", "critical", thing.id)
    assert kept.summary == f"127.0.0.1:{target} cannot be scraped."
    server = ThreadingHTTPServer(("127.0.0.1", target), Metrics)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        assert (await thing.event("outside.resolved")).subject == kept.id
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        serving.join()
    over = await runtime.store.get(OutsideAlert, kept.id)
    assert over.status == "resolved"
    assert over.ended_at is not None
    assert over.began_at < over.ended_at
