"""Replicas of a compose service on one engine: which there are, what one more is made of, making and removing one."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from watchkeeper.domain import Conflict, NotFound, Refused, WatchkeeperError
from watchkeeper.hosts.answers import items, part
from watchkeeper.hosts.engine import Engine

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
MADE = "watchkeeper.replica-of"
"""Label of what we made: the container it is a copy of. Nothing else is ever removed."""
SHARED = "watchkeeper.scale.volumes"
"""Label by which an operator names the paths, separated by commas, that several replicas may write to."""

_CONFIG = (
    *("Cmd", "Domainname", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Hostname", "Image", "Labels"),
    *("OpenStdin", "Shell", "StdinOnce", "StopSignal", "StopTimeout", "Tty", "User", "Volumes", "WorkingDir"),
)
_STOP_GRACE_SECONDS = 10
_POLL_SECONDS = 0.2
_STEADY_LOOKS = 10
"""Looks in a row that must find it running, where it has no health check of its own: two seconds."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of a compose service. `made` tells whether we made it."""

    id: str
    name: str
    number: int
    status: str
    made: bool


async def replicas(engine: Engine, labels: Mapping[str, str]) -> tuple[Replica, ...]:
    """All replicas of the compose service that bears these labels, by number; those that are stopped too."""
    wanted = [f"{name}={labels[name]}" for name in (PROJECT, SERVICE)]
    rows: list[dict[str, Any]] = await engine.call(
        "containers/json", params={"all": "1", "filters": json.dumps({"label": wanted})}
    )
    found = [_replica(row) for row in rows if part(row, "Labels").get(ONE_OFF) != "True"]
    return tuple(sorted(found, key=lambda one: (one.number, one.name)))


def _replica(row: Mapping[str, Any]) -> Replica:
    labels = part(row, "Labels")
    number = str(labels.get(NUMBER) or "0")
    name = str((items(row, "Names") or [row["Id"][:12]])[0]).lstrip("/")
    return Replica(str(row["Id"]), name, int(number) if number.isdigit() else 0, str(row["State"]), MADE in labels)


def obstacle(shown: Mapping[str, Any]) -> str | None:
    """Why there cannot be a second container like this one, or None. Reads what `inspect` says; changes nothing."""
    labels = part(shown, "Config", "Labels")
    if not labels.get(PROJECT) or not labels.get(SERVICE) or labels.get(ONE_OFF) == "True":
        return "It belongs to no compose service, so nothing would find a second one."
    if _separator(shown) is None:
        return f"Its name, {_name(shown)}, is fixed (`container_name`): compose itself could not run two of it."
    mode = str(part(shown, "HostConfig").get("NetworkMode") or "")
    if mode == "host":
        return "It uses the host's network: a second one would want the same ports."
    if mode.startswith("container:"):
        return "It lives in another container's network: a second one would want the same ports."
    if fixed := next((n for n, e in _networks(shown).items() if part(e, "IPAMConfig").get("IPv4Address")), None):
        return f"Its address in the network {fixed} is fixed, and can be had once only."
    allowed = {path.strip() for path in str(labels.get(SHARED) or "").split(",")}
    for mount in items(shown, "Mounts"):
        if mount.get("RW") and mount.get("Type") != "tmpfs" and mount.get("Destination") not in allowed:
            what = mount.get("Name") or mount.get("Source")
            return (
                f"It writes to {mount['Destination']} ({mount.get('Type')} {what}): two that share it may destroy it, "
                f"two that do not hold different data. Where that is no matter, the label {SHARED} names the path."
            )
    return None


def _name(shown: Mapping[str, Any]) -> str:
    return str(shown["Name"]).lstrip("/")


def _networks(shown: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return part(shown, "NetworkSettings", "Networks")


def _separator(shown: Mapping[str, Any]) -> str | None:
    """What compose put between project, service and number: `_` in 1.x, `-` since 2; None where the name is another."""
    labels = part(shown, "Config", "Labels")
    parts = [re.escape(str(labels.get(label))) for label in (PROJECT, SERVICE, NUMBER)]
    match = re.fullmatch(rf"{parts[0]}(?P<mark>[_-]){parts[1]}(?P=mark){parts[2]}", _name(shown))
    return match["mark"] if match else None


def recipe(shown: Mapping[str, Any], number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """One more container like this one: its name, the body that creates it, and the networks to connect it to besides.

    The body holds the environment, and so secrets: it goes to the engine and nowhere else. Fixed host ports become
    ephemeral ones on loopback.
    """
    labels = part(shown, "Config", "Labels")
    separator, old = _separator(shown) or "-", _name(shown)
    name = separator.join((str(labels[PROJECT]), str(labels[SERVICE]), str(number)))
    config = {key: value for key, value in part(shown, "Config").items() if key in _CONFIG and value is not None}
    if str(config.get("Hostname")) == str(shown["Id"])[:12]:
        del config["Hostname"]
    config["Labels"] = {**labels, NUMBER: str(number), MADE: old}
    for once in ("com.docker.compose.replace", "watchkeeper.name"):  # a name of its own cannot be two's
        config["Labels"].pop(once, None)
    host = {key: value for key, value in part(shown, "HostConfig").items() if key != "ContainerIDFile"}
    host["PortBindings"] = {
        port: [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in part(host, "PortBindings") if port
    }
    networks = {
        network: _endpoint(endpoint, {old, str(shown["Id"])[:12]}, name)
        for network, endpoint in _networks(shown).items()
    }
    first = host.get("NetworkMode") if host.get("NetworkMode") in networks else next(iter(networks), None)
    body: dict[str, Any] = {**config, "HostConfig": host}
    if first:  # engines before API 1.44 take one network at the start
        body["NetworkingConfig"] = {"EndpointsConfig": {first: networks.pop(first)}}
    return name, body, networks


def _endpoint(endpoint: Mapping[str, Any], own: Iterable[str], name: str) -> dict[str, Any]:
    """The service's aliases, without those that are this container's own."""
    aliases = [alias for alias in cast("list[str]", items(endpoint, "Aliases")) if alias not in own]
    kept = {key: endpoint[key] for key in ("Links", "DriverOpts") if endpoint.get(key)}
    return {**kept, "Aliases": list(dict.fromkeys([*aliases, name]))}


async def create(engine: Engine, shown: Mapping[str, Any], number: int) -> Replica:
    """Create, but not yet start, one more container like this one, out of the very same image.

    Raises Conflict where the name is taken, so that two who do the same at once do it once.
    """
    name, body, networks = recipe(shown, number)
    body["Image"] = await _image(engine, str(body.get("Image") or ""), str(shown["Image"]))
    made: dict[str, Any] = await engine.call(
        "containers/create", "POST", params={"name": name}, data=body, timeout=30.0
    )
    replica = Replica(str(made["Id"]), name, number, "created", True)
    try:
        for network, endpoint in networks.items():
            wanted = {"Container": replica.id, "EndpointConfig": endpoint}
            await engine.call(f"networks/{network}/connect", "POST", data=wanted, timeout=10.0)
    except BaseException:
        await asyncio.shield(remove(engine, replica))
        raise
    return replica


async def _image(engine: Engine, tag: str, ident: str) -> str:
    """The image's name where that still means the same image, else its id: the name may belong to a newer one."""
    try:
        named: dict[str, Any] = await engine.call(f"images/{tag}/json")
    except WatchkeeperError:
        return ident
    return tag if named.get("Id") == ident else ident


async def start(engine: Engine, replica: Replica) -> None:
    """Start it; nothing happens if it runs."""
    await engine.call(f"containers/{replica.id}/start", "POST", timeout=30.0)


async def until_healthy(engine: Engine, replica: Replica) -> dict[str, str]:
    """Wait until its own health check passes, or where it has none, until it has run for two seconds.

    Returns its published addresses by its own ports. Raises WatchkeeperError where it ends or is unhealthy.
    """
    looks = 0
    while True:
        shown: dict[str, Any] = await engine.call(f"containers/{replica.id}/json")
        state = part(shown, "State")
        health = str(part(state, "Health").get("Status") or "")
        if state.get("Status") != "running":
            raise WatchkeeperError(
                f"{replica.name} did not stay up: it is {state.get('Status')} (exit code {state.get('ExitCode')}).",
                "Its original may be about to fail the same way: read its log.",
            )
        if health == "unhealthy":
            raise WatchkeeperError(f"{replica.name} runs, but its own health check fails.")
        looks += 1
        if health == "healthy" or (not health and looks > _STEADY_LOOKS):
            return _published(shown)
        await asyncio.sleep(_POLL_SECONDS)


def _published(shown: Mapping[str, Any]) -> dict[str, str]:
    ports = part(shown, "NetworkSettings", "Ports")
    return {port: f"{found[0]['HostIp']}:{found[0]['HostPort']}" for port in ports if (found := items(ports, port))}


async def remove(engine: Engine, replica: Replica) -> None:
    """Stop it with its stop signal, so that it ends what it is at, and remove it with its anonymous volumes.

    One that is gone already is no error. Raises Conflict for a container that we did not make.
    """
    if not replica.made:
        raise Conflict(f"{replica.name} was not made by Watchkeeper, so it does not remove it.")
    try:
        shown: dict[str, Any] = await engine.call(f"containers/{replica.id}/json")
        grace = part(shown, "Config").get("StopTimeout") or _STOP_GRACE_SECONDS
        await engine.call(
            f"containers/{replica.id}/stop", "POST", params={"t": str(grace)}, timeout=float(grace) + 20.0
        )
        await engine.call(f"containers/{replica.id}", "DELETE", params={"v": "1", "force": "1"}, timeout=30.0)
    except NotFound:
        return


def refuse(shown: Mapping[str, Any]) -> None:
    """Raise Refused where there cannot be a second container like this one."""
    if said := obstacle(shown):
        raise Refused(said)
