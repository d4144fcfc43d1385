"""Which services speak HTTP: named, labelled, by their own health check, or by what a port of theirs answers."""

import asyncio
import posixpath
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchkeeper.connectors.addressed import Addresses, address_of, with_host
from watchkeeper.connectors.asking import Answer, ask, client
from watchkeeper.connectors.http.wanted import EXAMPLE, from_labels, port_of, wanted
from watchkeeper.connectors.naming import Found, chosen, service_on
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError
from watchkeeper.hosts import ContainerHost
from watchkeeper.hosts.answers import items, part

HEALTH = ("/healthz", "/health", "/livez", "/-/healthy", "/up", "/ping")
"""Kubernetes' own, Prometheus', Rails', and what many write by hand."""
READY = ("/readyz", "/ready", "/-/ready", "/status")
OTHERS = frozenset(
    {"nginx", "redis-server", "valkey-server", "postgres", "postmaster", "pgbouncer", "mysqld", "mariadbd", "mongod"}
    | {"haproxy", "envoy", "traefik", "varnishd"}
)
"""Programs that another connector knows, or that are no web services, or before which others answer: what a proxy says
is not of itself. They are not asked unless they are labelled."""
_URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::\d+)?(?:/[^\s\"'|;)&]*)?")
_SECONDS = 0.5
"""For one question of a search: a service on this machine answers in less."""
_AT_ONCE = 8
_LONGEST = 600.0
_MOST_PORTS = 3
_WEB = (80, 8000, 8080, 3000, 5000, 443)
_FIRST_EPHEMERAL = 32768
"""Ports from here on are handed out by the kernel: nobody is told of them (the engine's resolver has one)."""
OTHER_PORTS = frozenset(
    {21, 22, 23, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1433, 1521, 1883, 2181, 3306, 5432, 5433, 5672, 6379}
    | {6432, 8883, 9042, 9092, 11211, 16379, 26379, 27017}
)
"""Of protocols that are not HTTP (IANA's, and of well-known servers): where one is only listened on it is not asked."""
_ADDRESSES = Addresses("http", "an HTTP service", {"http": 80, "https": 443}, EXAMPLE, keeps=("url",), check=wanted)


@dataclass
class _Tried:
    """What a search found of one start of one container."""

    start: str
    found: Mapping[str, Any] | None = None
    next_at: float = 0.0
    pause: float = 10.0


class Discovery:
    """Remembers what it asked: a container is asked again only after a start, or seldom while it does not answer."""

    def __init__(self) -> None:
        self._tried: dict[str, _Tried] = {}
        self._asking = asyncio.Semaphore(_AT_ONCE)

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Services on hosts, then those named with a URL. A host that cannot be asked is passed over.

        Raises ConfigurationError, at the end, for settings or labels that are not valid.
        """
        answers = await asyncio.gather(*(self._on(host, settings) for host in hosts), return_exceptions=True)
        found = [answer for answer in answers if isinstance(answer, tuple)]
        there = {host.incarnation for host in hosts}
        self._tried = {key: tried for key, tried in self._tried.items() if key in there}
        said, wrong = _ADDRESSES.named(settings)
        wrong += [answer for answer in answers if isinstance(answer, ConfigurationError)]
        named = [await _with_hands(resource, hosts, found) for resource in said]
        taken = {resource.incarnation for resource in named if resource.runs_on}
        for resource, _ in found:
            if resource.incarnation not in taken:
                yield resource
        for resource in named:
            yield resource
        if wrong:
            raise wrong[0]

    async def _on(self, host: Host, settings: Mapping[str, Any]) -> Found | None:
        labels = host.labels
        if labels.get("watchkeeper.http", "").strip().lower() in ("false", "no", "0"):
            return None
        try:
            resource = service_on(host, kind="http")
            ports = await _ports(host)
            said: Mapping[str, Any] | None = None
            if resource.settings:
                said = from_labels(resource.settings, f"labels watchkeeper.http.… of {host.name}")
            elif isinstance(host, ContainerHost):
                said = await _health_check(host)
                if said is None and chosen(resource, settings.get("only") or ()):
                    said = await self._asked(host, ports)
            if said is None:
                return None
            port = int(said.get("port") or _usual(ports))
            resource = replace(resource, settings={**said, "port": port}, ports=(port,))
            return resource, await host.endpoints(port)
        except (WatchkeeperError, TimeoutError) as problem:
            if isinstance(problem, ConfigurationError):
                raise
            return None

    async def _asked(self, host: ContainerHost, ports: Sequence[int]) -> Mapping[str, Any] | None:
        """By its answers to GETs of conventional paths, where it is nothing known: at the ports it publishes or
        declares, else at those it listens on, on the container's own address."""
        shown = await host.inspect(fresh=False)
        state = part(shown, "State")
        start = str(state.get("StartedAt"))
        tried = self._tried.get(host.incarnation)
        if tried is not None and tried.found is not None:
            return tried.found  # also while it is down
        if not state.get("Running") or state.get("Paused"):
            return None
        if tried is None or tried.start != start:
            tried = self._tried[host.incarnation] = _Tried(start)
        if time.monotonic() < tried.next_at:
            return None
        tried.next_at, tried.pause = time.monotonic() + tried.pause, min(_LONGEST, tried.pause * 2)
        if _is_another(await host.processes()):
            tried.next_at = time.monotonic() + _LONGEST
            return None
        async with self._asking:
            for port in (ports or await _listening(host))[:_MOST_PORTS]:
                for address in (await host.endpoints(port))[:1]:
                    if found := await question(f"http://{address[0]}:{address[1]}"):
                        tried.found = {**found, "port": port}
                        return tried.found
        return None


def _is_another(processes: Sequence[str]) -> bool:
    return any(posixpath.basename(word) in OTHERS for line in processes for word in line.replace(":", " ").split()[:2])


async def question(base: str) -> dict[str, str] | None:
    """GETs of conventional paths. A page that answers everything with HTML is no health document."""
    found: dict[str, str] = {}
    async with client() as http:
        for name, paths in (("health", HEALTH), ("ready", READY)):
            for path in paths:
                answer = await ask(http, f"{base}{path}", timeout=_SECONDS)
                if not answer.answered:
                    return found or None  # it does not speak HTTP, or not now
                if answer.status in (200, 204, 503) and not _is_page(answer):
                    found[name] = path
                    break
    if "ready" in found and "health" not in found:
        found["health"] = found["ready"]
    return found or None


def _is_page(answer: Answer) -> bool:
    """Whether it is for people's eyes: some frameworks call every text HTML, a page has marks in it."""
    return "html" in (answer.headers or {}).get("content-type", "") and "<" in answer.text


async def _health_check(host: ContainerHost) -> Mapping[str, Any] | None:
    """The URL that its own HEALTHCHECK fetches with curl or wget."""
    config = part(await host.inspect(fresh=False), "Config")
    test = " ".join(map(str, items(part(config, "Healthcheck"), "Test")))
    if not re.search(r"\b(curl|wget)\b", test) or not (match := _URL.search(test)):
        return None
    url = match[0]
    path = "/" + url.split("://", 1)[1].partition("/")[2]
    return {"scheme": url.partition(":")[0], "port": port_of(url), "health": path, "verify": False}


async def _ports(host: Host) -> list[int]:
    """TCP ports that it publishes, else those it declares or listens on; also while it is stopped."""
    if not isinstance(host, ContainerHost):
        return sorted((await host.network()).listening)
    shown = await host.inspect(fresh=False)
    published = part(part(shown, "HostConfig"), "PortBindings") or part(shown, "NetworkSettings", "Ports")
    bound = [key for key in published if published[key]]
    declared = list(part(part(shown, "Config"), "ExposedPorts"))
    keys = bound or declared
    return sorted({int(key.partition("/")[0]) for key in keys if key.endswith("/tcp") or key.isdigit()})


async def _listening(host: Host) -> list[int]:
    """TCP ports that others may reach it at, though it says so nowhere; the usual ones first."""
    found = {port for port in (await host.network()).listening if port < _FIRST_EPHEMERAL} - OTHER_PORTS
    return sorted(found, key=lambda port: (port not in _WEB, port))


def _usual(ports: Sequence[int]) -> int:
    return next((port for port in _WEB if port in ports), ports[0] if ports else 80)


async def _with_hands(resource: Resource, hosts: Sequence[Host], found: Sequence[Found]) -> Resource:
    """One that is named with a URL, with the hands of the host it is on where that is known."""
    if (handled := with_host(resource, found)) is not resource:
        return handled
    address = address_of(resource)
    for host in hosts:
        inside = await _inside(host, address)
        if inside is not None:
            one = replace(service_on(host, kind="http"), ports=(inside,))
            return with_host(resource, [(one, (address,))])
    return resource


async def _inside(host: Host, address: tuple[str, int]) -> int | None:
    """The port of the host that an address leads to; None where it leads elsewhere."""
    try:
        for port in await _ports(host):
            if address in await host.endpoints(port):
                return port
    except (WatchkeeperError, TimeoutError):
        pass
    return None
