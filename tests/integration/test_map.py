"""What needs what is inferred from what is there: rename every service of the lab, and nothing changes."""

import asyncio
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.crash.harness import PATIENCE, Server
from watchkeeper_lab.containers import remove_project
from watchkeeper_lab.engine import ensure_compose
from watchkeeper_lab.images import ensure_images

pytestmark = pytest.mark.lab
EDGES = {("nginx", "shop"), ("shop", "redis"), ("shop", "postgres")}
Mapped = set[tuple[str, str]]


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def watching(project: str, folder: Path) -> Iterator[Server]:
    """Only looking, and often at the connections."""
    config = folder / f"{project}.yaml"
    config.write_text(f"mode: observe\nonly: ['{project}']\nwatch: {{discover: 1}}\n")
    server = Server(folder / project, config, {"DOCKER_HOST": "unix:///var/run/docker.sock"})
    try:
        server.start().until_kind("server.started")
        yield server
    finally:
        server.stop()


def mapped(server: Server, back: dict[str, str]) -> Mapped:
    """The edges by role, in force, other than `runs_on`; every one to the service where there is one."""
    page = server.get("/api/resources/map")
    nodes = {node["id"]: node for node in page["nodes"]}
    watched = server.get("/api/resources")["items"]
    services = {item["id"]: item["labels"]["com.docker.compose.service"] for item in watched}
    carriers = {node["runs_on"] for node in page["nodes"]}
    for edge in page["edges"]:
        assert edge["target"] not in carriers or edge["known"][0]["how"] == "runs_on", edge
    return {
        (back[services[edge["source"]]], back[services[edge["target"]]])
        for edge in page["edges"]
        if nodes[edge["source"]]["runs_on"] != edge["target"]
    }


def until_mapped(server: Server, back: dict[str, str], visit: str) -> None:
    """Visitors come until every edge of the lab is there."""
    deadline = time.monotonic() + PATIENCE
    while (found := mapped(server, back)) != EDGES:
        assert time.monotonic() < deadline, f"not these edges: {found ^ EDGES}"
        with suppress(httpx.HTTPError):  # it is starting still
            httpx.get(visit, timeout=5.0)


def until_joined(server: Server, victim: str, cause: str) -> None:
    """One incident goes on, with its victim and its cause: two that begin apart merge when their cause shows, and what
    is behind may be noticed after what is before it."""
    server.until_kind("incident.opened")
    deadline = time.monotonic() + PATIENCE
    while True:
        going_on = [one for one in server.get("/api/incidents")["items"] if one["status"] != "closed"]
        if (
            len(going_on) == 1
            and cause in going_on[0]["root"]
            and any(victim in one for one in going_on[0]["resources"])
        ):
            return
        assert time.monotonic() < deadline, [server.get(f"/api/incidents/{one['id']}") for one in going_on]
        time.sleep(0.2)  # the rate of asking


def renamed(recipe: dict[str, Any], to: dict[str, str], folder: Path) -> dict[str, Any]:
    """The lab's compose file under other names: services, links in the environment, nginx' upstream."""
    services: dict[str, Any] = recipe["services"]
    for service in services.values():
        service.pop("ports", None)
        if "depends_on" in service:
            service["depends_on"] = [to[name] for name in service["depends_on"]]
        variables = service.get("environment", {})
        for variable, value in variables.items():
            value = str(value).replace("//redis:", f"//{to['redis']}:")
            variables[variable] = value.replace("@postgres:", f"@{to['postgres']}:")
    health = services["shop"]["healthcheck"]  # the shop is unwell when its stores are, and says so soon
    health["test"] = [part.replace("/health", "/ready") for part in health["test"]]
    health |= {"interval": "1s", "retries": 2}
    conf = (files("watchkeeper_lab") / "assets" / "nginx" / "nginx.conf").read_text()
    (folder / "nginx.conf").write_text(conf.replace("set $shop shop;", f"set $shop {to['shop']};"))
    services["nginx"]["volumes"] = [f"{folder / 'nginx.conf'}:/etc/nginx/nginx.conf:ro"]
    recipe["services"] = {to[name]: service for name, service in services.items()}
    return recipe


async def test_renaming_every_service_changes_neither_the_map_nor_the_root(tmp_path: Path) -> None:
    project = f"p{secrets.token_hex(4)}"
    to = {name: f"x{secrets.token_hex(4)}" for name in ("redis", "postgres", "shop", "nginx")}
    back = {new: old for old, new in to.items()}
    recipe = yaml.safe_load((files("watchkeeper_lab") / "assets" / "compose.yaml").read_text())
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(renamed(recipe, to, tmp_path)))
    images = await ensure_images(print)
    values = {f"{service.upper()}_IMAGE": tag for service, tag in images.tags.items()} | {
        "POSTGRES_PASSWORD": "x",
        "POSTGRES_DISK": "postgres-data",
    }
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    compose = await ensure_compose()
    try:
        command = [*compose, "-p", project, "-f", "compose.yaml", "up", "-d", "--no-build"]
        await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, check=True, capture_output=True)
        form = '{{.Label "com.docker.compose.service"}} {{.Names}}'
        listed = docker("ps", "-a", "--filter", f"label=com.docker.compose.project={project}", "--format", form)
        names = dict(line.split() for line in listed.splitlines())
        networks = json.loads(docker("inspect", names[to["nginx"]]))[0]["NetworkSettings"]["Networks"]
        with watching(project, tmp_path) as server:
            address = next(iter(networks.values()))["IPAddress"]
            await asyncio.to_thread(until_mapped, server, back, f"http://{address}/products")
            docker("pause", names[to["redis"]])
            await asyncio.to_thread(until_joined, server, to["shop"], to["redis"])
    finally:
        await remove_project(project)
