"""A Prometheus beside a lab, with the usual exporters: what a Watchkeeper sees whose readings come only from there."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from watchkeeper_lab.engine import Say, apt_install, root_on_debian
from watchkeeper_lab.errors import LabError, MissingError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.loopback import free_port, loopback

PROGRAMS = (
    "prometheus",
    "prometheus-redis-exporter",
    "prometheus-postgres-exporter",
    "prometheus-nginx-exporter",
    "prometheus-blackbox-exporter",
)
"""Each is called as the Debian package it is in."""
EVERY = "1s"
PATIENCE = 60.0
"""Seconds until everything must have been scraped."""
WANTED = "min(up) == 1 and sum(redis_up) + sum(pg_up) + sum(nginx_up) + sum(probe_success) == {count}"


@asynccontextmanager
async def scraped(lab: Lab, say: Say) -> AsyncGenerator[str]:
    """Exporters and a Prometheus on loopback, ended with the block; yields a `watchkeeper.yaml` by which the readings
    of Redis, PostgreSQL, nginx and the application's replicas come from there, and from nowhere else.

    There is no cAdvisor in Debian: containers are seen as ever. Raises `LabError` where something is missing, or what
    it is to see is not there in time.
    """
    if lab.ground != "container" or lab.stack.credentials:
        raise LabError("Seen through Prometheus, the shop runs in containers.", "Leave `--processes` out.")
    await _ensure(say)
    ports = {name: free_port() for name in PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="watchkeeper-scraped-") as folder:
        (Path(folder) / "prometheus.yml").write_text(yaml.safe_dump(_scraping(lab, ports)))
        (Path(folder) / "blackbox.yml").write_text(yaml.safe_dump(BLACKBOX))
        say("Starting Prometheus and four exporters…")
        started: list[subprocess.Popen[bytes]] = []
        try:
            for name, (words, environment) in _programs(lab, ports, Path(folder)).items():
                with (Path(folder) / f"{name}.log").open("wb") as log:
                    started.append(
                        subprocess.Popen(  # noqa: ASYNC220
                            [name, *words],
                            env={**os.environ, **environment},
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                        )
                    )
            url = f"http://127.0.0.1:{ports['prometheus']}"
            await _until_scraped(url, lab)
            yield await _configuration(lab, url, ports)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                await asyncio.to_thread(process.wait)


async def _ensure(say: Say) -> None:
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if not lacking:
        return
    if not root_on_debian():
        raise MissingError(f"These programs are not installed: {', '.join(lacking)}.", "Install them and try again.")
    say(f"Installing {', '.join(lacking)} (apt-get install)…")
    await apt_install(*lacking)


BLACKBOX: dict[str, Any] = {
    "modules": {"ready": {"prober": "http", "timeout": "900ms", "http": {"preferred_ip_protocol": "ip4"}}}
}


def _programs(lab: Lab, ports: Mapping[str, int], folder: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Arguments and environment of each."""
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    made = lab.instance
    database = {"DATA_SOURCE_NAME": f"{made.database_url}?sslmode=disable"}
    asked = ["-nginx.scrape-uri", f"{made.front_url}/nginx_status"]
    arguments = {
        "prometheus-redis-exporter": ["--redis.addr", f"redis://127.0.0.1:{made.ports['REDIS_PORT']}"],
        "prometheus-postgres-exporter": [],
        "prometheus-nginx-exporter": asked,
        "prometheus-blackbox-exporter": [f"--config.file={folder / 'blackbox.yml'}"],
        "prometheus": [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--scrape.discovery-reload-interval=100ms",
        ],
    }
    listen = {"prometheus-nginx-exporter": "-web.listen-address"}
    return {
        name: (
            [*words, f"{listen.get(name, '--web.listen-address')}={at[name]}"],
            database if "postgres" in name else {},
        )
        for name, words in arguments.items()
    }


def _scraping(lab: Lab, ports: Mapping[str, int]) -> dict[str, Any]:
    """Prometheus' configuration. The replicas are found as its users do: through the engine, by compose's labels."""
    project = [{"name": "label", "values": [f"com.docker.compose.project={lab.compose_project}"]}]
    replicas = {
        "job_name": "replicas",
        "metrics_path": "/probe",
        "params": {"module": ["ready"]},
        "docker_sd_configs": [
            {"host": "unix:///var/run/docker.sock", "refresh_interval": EVERY, "filters": project},
        ],
        "relabel_configs": [
            {
                "source_labels": ["__meta_docker_container_label_com_docker_compose_service"],
                "regex": lab.stack.app,
                "action": "keep",
            },
            {"source_labels": ["__meta_docker_container_name"], "regex": "/(.*)", "target_label": "name"},
            {
                "source_labels": ["__meta_docker_network_ip"],
                "replacement": f"http://$1:8000{lab.stack.ready}",
                "target_label": "__param_target",
            },
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{ports['prometheus-blackbox-exporter']}"},
        ],
    }
    others = [
        {"job_name": kind, "static_configs": [{"targets": [f"127.0.0.1:{ports[f'prometheus-{kind}-exporter']}"]}]}
        for kind in ("redis", "postgres", "nginx")
    ]
    return {"global": {"scrape_interval": EVERY, "scrape_timeout": EVERY}, "scrape_configs": [replicas, *others]}


async def _until_scraped(url: str, lab: Lab) -> None:
    """Return once Prometheus has figures of everything, and all of it is up."""
    replicas = sum(1 for name in await lab.services.states() if name.startswith(f"{lab.stack.app}-"))
    query = {"query": WANTED.format(count=3 + replicas)}
    said = "it does not answer"
    async with loopback(timeout=2.0) as client:
        for _ in range(int(PATIENCE / 0.2)):
            with contextlib.suppress(httpx.TransportError, ValueError):  # while it starts it speaks no JSON
                answer = (await client.get(f"{url}/api/v1/query", params=query)).json()
                if answer.get("data", {}).get("result"):
                    return
                said = str(answer.get("error") or "not every exporter reaches what it is to tell of")
            await asyncio.sleep(0.2)  # the rate of asking: Prometheus tells nobody
    raise LabError(f"Prometheus saw nothing of the lab within {PATIENCE:.0f} s: {said}.", f"It is at {url}.")


async def _configuration(lab: Lab, url: str, ports: Mapping[str, int]) -> str:
    """Whose readings come from Prometheus, and which series are theirs."""
    stack, kinds = lab.stack, {"redis": lab.stack.redis, "postgres": lab.stack.postgres, "nginx": lab.stack.nginx}
    states = await lab.services.states()
    seen: list[dict[str, Any]] = [
        {
            "name": states[service].where,
            "kind": kind,
            "source": "prometheus",
            "match": {"instance": f"127.0.0.1:{ports[f'prometheus-{kind}-exporter']}"},
        }
        for kind, service in kinds.items()
    ]
    seen += [
        {"name": state.where, "kind": "http", "source": "prometheus", "match": {"name": state.where}}
        for name, state in states.items()
        if name.startswith(f"{stack.app}-")
    ]
    return yaml.safe_dump({"sources": {"prometheus": {"url": url}}, "resources": seen})
