"""The same for what other exporters tell, in the form in which they tell it."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import free_port
from tests.postgres import USER, Postgres
from tests.sources.conftest import PATIENCE, Stand
from watchkeeper.connectors import Registry
from watchkeeper.domain import Reading, Resource
from watchkeeper.settings import Settings
from watchkeeper.sources import Sources

REGISTRY = Registry.installed()

# Shortened from what nginx-prometheus-exporter 0.11, blackbox_exporter 0.23, cAdvisor 0.47, node_exporter 1.5 expose.
NGINX = """
nginx_up 1
nginx_connections_accepted 120
nginx_connections_active 7
nginx_connections_handled 118
nginx_connections_reading 1
nginx_connections_waiting 4
nginx_connections_writing 2
nginx_http_requests_total 5000
"""
HTTP = """
probe_success 0
probe_duration_seconds 0.25
probe_http_status_code 503
probe_ssl_earliest_cert_expiry {soon}
"""
CONTAINER = """
container_last_seen{{id="/docker/1",image="redis",name="cache"}} {now}
container_last_seen{{id="/docker/2",image="nginx",name="front"}} {now}
container_cpu_usage_seconds_total{{id="/docker/1",image="redis",name="cache",cpu="cpu00"}} 10
container_cpu_usage_seconds_total{{id="/docker/1",image="redis",name="cache",cpu="cpu01"}} 5
container_memory_working_set_bytes{{id="/docker/1",image="redis",name="cache"}} 95000000
container_memory_working_set_bytes{{id="/docker/2",image="nginx",name="front"}} 1000000
container_spec_memory_limit_bytes{{id="/docker/1",image="redis",name="cache"}} 100000000
container_spec_memory_limit_bytes{{id="/docker/2",image="nginx",name="front"}} 0
container_network_receive_bytes_total{{id="/docker/1",image="redis",name="cache",interface="eth0"}} 1000
container_network_receive_bytes_total{{id="/docker/1",image="redis",name="cache",interface="eth1"}} 500
container_oom_events_total{{id="/docker/1",image="redis",name="cache"}} 0
container_processes{{id="/docker/1",image="redis",name="cache"}} 6
"""
SERVICE = """
node_systemd_unit_start_time_seconds{name="worker.service"} 1700000000
node_systemd_unit_state{name="worker.service",state="activating",type="simple"} 0
node_systemd_unit_state{name="worker.service",state="active",type="simple"} 0
node_systemd_unit_state{name="worker.service",state="deactivating",type="simple"} 0
node_systemd_unit_state{name="worker.service",state="failed",type="simple"} 1
node_systemd_unit_state{name="worker.service",state="inactive",type="simple"} 0
node_systemd_service_restart_total{name="worker.service"} 3
"""


async def seen(stand: Stand, kind: str, rate: str, **match: str) -> Reading:
    """The first reading with a rate: two samples were taken by then."""
    given = {"source": {"source": "prom", "whole": True, "match": {"job": kind} | match, "metrics": {}}}
    sources = Sources(Settings(sources={"prom": {"url": stand.url, "timeout": 30}}), REGISTRY)
    connector = REGISTRY.kind(kind)
    through = sources.through(Resource(f"prometheus/lab/{kind}/it", "it", settings=given), connector, connector.rules)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await through.read(None, None)
                if found.error is None and (not rate or rate in found.metrics):
                    return found
                await asyncio.sleep(0.1)  # the rate of looking
    finally:
        await sources.stop()


def holding(found: Reading, kind: str) -> list[str]:
    return [rule.id for rule in REGISTRY.kind(kind).rules if rule.when.holds(found.scope())]


@pytest.fixture(scope="module")
def pages(stand: Stand) -> Stand:
    stand.pages |= {
        "nginx": NGINX,
        "http": HTTP.format(soon=int(time.time()) + 5 * 86400),
        "container": CONTAINER.format(now=int(time.time()) + 3600),
        "service": SERVICE,
    }
    for series in ("nginx_up", "probe_success", "container_last_seen", "node_systemd_unit_state"):
        stand.until(series)
    return stand


async def test_nginx(pages: Stand) -> None:
    found = await seen(pages, "nginx", "requests_per_second")

    assert {"active_connections": 7.0, "waiting_connections": 4.0, "dropped_connections_total": 2.0}.items() <= dict(
        found.metrics
    ).items()
    assert "connections_ratio" in found.facts["not_read"]
    assert holding(found, "nginx") == []


async def test_http_services(pages: Stand) -> None:
    found = await seen(pages, "http", "certificate_days")

    assert (found.metrics["status"], found.metrics["healthy"], found.metrics["failing"]) == (503.0, 0.0, 1.0)
    assert 4.9 < found.metrics["certificate_days"] < 5.1
    assert "http-certificate-expiring" in holding(found, "http")


async def test_where_its_readings_come_from_is_none_of_a_connectors_own_settings(pages: Stand) -> None:
    given = {"source": {"source": "prom", "whole": True, "match": {"job": "http"}, "metrics": {}}, "url": pages.url}
    sources = Sources(Settings(sources={"prom": {"url": pages.url, "timeout": 30}}), REGISTRY)
    it = Resource("prometheus/lab/http/it", "it", settings=given)
    connector = REGISTRY.kind("http")
    through = sources.through(it, connector, connector.rules)
    try:
        async with through.connect(it, None) as session:
            assert session is not None
            assert (await through.probe(session)).ok is True
    finally:
        await sources.stop()


async def test_containers_of_one_cadvisor_are_told_apart(pages: Stand) -> None:
    found = await seen(pages, "container", "network_received_bytes_per_second", name="cache")

    assert (found.metrics["running"], found.metrics["memory_ratio"]) == (1.0, 0.95)
    assert (found.metrics["cpu_seconds_total"], found.metrics["network_received_bytes_total"]) == (15.0, 1500.0)
    assert holding(found, "container") == ["container-memory-high"]
    other = await seen(pages, "container", "", name="front")
    assert other.metrics["memory_used_bytes"] == 1e6
    assert "memory_ratio" not in other.metrics, "without a limit there is no share of it"


async def test_units_of_systemd(pages: Stand) -> None:
    found = await seen(pages, "service", "failed", name="worker.service")

    assert (found.metrics["running"], found.metrics["failed"], found.metrics["restarts_total"]) == (0.0, 1.0, 3.0)


@pytest.fixture
def exporter(postgres: Postgres) -> Iterator[str]:
    if not shutil.which("prometheus-postgres-exporter"):
        pytest.skip("postgres_exporter is not installed: apt-get install prometheus-postgres-exporter")
    address = f"127.0.0.1:{free_port()}"
    source = f"postgresql://{USER}@127.0.0.1:{postgres.port}/postgres?sslmode=disable"
    process = subprocess.Popen(
        ["prometheus-postgres-exporter", f"--web.listen-address={address}"],
        env=os.environ | {"DATA_SOURCE_NAME": source},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://{address}/metrics"
    process.kill()
    process.wait()


async def test_postgresql(stand: Stand, exporter: str) -> None:
    """A real exporter of a real PostgreSQL; what it said once is what Prometheus scrapes."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
        while True:
            try:
                said = (await client.get(exporter)).text
            except httpx.TransportError:
                said = ""
            if "\npg_up 1" in said:
                break
            await asyncio.sleep(0.1)  # it takes a moment to listen
    stand.pages["postgres"] = "".join(f"{line}\n" for line in said.splitlines() if line.startswith("pg_"))
    stand.until("pg_up")

    found = await seen(stand, "postgres", "commits_per_second")

    assert found.metrics["max_connections"] >= 20.0
    assert 1.0 <= found.metrics["connections"] < found.metrics["max_connections"]
    assert found.metrics["connections_ratio"] == pytest.approx(
        found.metrics["connections"] / (found.metrics["max_connections"] - found.metrics["reserved_connections"])
    )
    assert (found.metrics["up"], found.metrics["autovacuum_enabled"]) == (1.0, 1.0)
    assert found.metrics["database_bytes"] > 1e6
    assert found.facts["version"].startswith("1")
    assert "blocked_sessions (postgres-blocking-chain" in found.facts["not_read"]
    assert not [note for note in found.facts["not_read"].split("; ") if "series where one is due" in note]
