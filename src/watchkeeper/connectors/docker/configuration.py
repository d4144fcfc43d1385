"""What a container is configured with, as text that can be compared from look to look. Values of its environment and
of flags that name a secret are never in it."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from watchkeeper.domain.change import CREATED, STARTED
from watchkeeper.hosts.answers import items, moment, part

FLAG = re.compile(r"(--?\S*(?:pass|secret|token|key|auth)\S*?)(=|\s+)(\S+)", re.IGNORECASE)
_COMPOSE = "com.docker.compose."
_OURS = "watchkeeper."
_SECRET = re.compile(r"pass|secret|token", re.IGNORECASE)
_REFERENCES = ("env:", "file:")
_OPTIONS = ("User", "WorkingDir", "Healthcheck", "StopSignal", "StopTimeout")
_HOST_OPTIONS = (
    *("Privileged", "CapAdd", "CapDrop", "SecurityOpt", "Devices", "GroupAdd", "UsernsMode", "ReadonlyRootfs", "Tmpfs"),
    *("Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "Sysctls", "Ulimits", "ShmSize", "LogConfig", "Init", "Runtime"),
    *("CpuShares", "CpusetCpus", "MemoryReservation", "OomKillDisable", "OomScoreAdj", "PortBindings", "RestartPolicy"),
)
"""What else `docker run` is told: only that it is another is shown. Not what holds ids of other containers."""


def configuration(shown: Mapping[str, Any]) -> dict[str, str]:
    """From the engine's `inspect`."""
    config, host = part(shown, "Config"), part(shown, "HostConfig")
    labels = part(config, "Labels")
    started, created = moment(part(shown, "State").get("StartedAt")), moment(shown.get("Created"))
    command = " ".join([str(shown.get("Path") or ""), *map(str, items(shown, "Args"))])
    cpus = (host.get("NanoCpus") or 0) / 1e9
    if not cpus and host.get("CpuQuota"):
        cpus = host["CpuQuota"] / (host.get("CpuPeriod") or 100_000)
    pids = host.get("PidsLimit") or 0
    mounts = sorted(f"{_volume(m)}:{m.get('Destination')}" for m in items(shown, "Mounts"))
    # docker-compose 1 adds a variable `affinity:…` to what it makes anew, which nobody asked for.
    return {
        "image": str(config.get("Image") or ""),
        "image_id": str(shown.get("Image") or "").removeprefix("sha256:")[:12],
        "config_hash": str(labels.get(f"{_COMPOSE}config-hash") or "")[:12],
        "environment": digest(sorted(e for e in map(str, items(config, "Env")) if not e.startswith("affinity:"))),
        "command": FLAG.sub(r"\1\2***", command),
        "memory_bytes": str(int(host.get("Memory") or 0)),
        "memory_and_swap_bytes": str(int(host.get("MemorySwap") or 0)),
        "cpus": f"{cpus:g}",
        "pids": str(pids if pids > 0 else 0),
        "restart_policy": str(part(host, "RestartPolicy").get("Name") or "no"),
        "mounts": " ".join(mounts),
        "networks": " ".join(sorted(part(shown, "NetworkSettings", "Networks"))),
        "ports": " ".join(_ports(part(host, "PortBindings"))),
        "labels": " ".join(sorted(_label(name, str(said)) for name, said in labels.items() if name.startswith(_OURS))),
        "other_labels": digest(sorted(item for item in labels.items() if not item[0].startswith((_OURS, _COMPOSE)))),
        "options": digest(_options(config, host, items(shown, "Mounts"))),
        STARTED: started.isoformat() if started else "",
        CREATED: created.isoformat() if created else "",
    }


def _label(name: str, said: str) -> str:
    """One that says how Watchkeeper is to treat it; references are no secrets."""
    return f"{name}={'***' if _SECRET.search(name) and not said.startswith(_REFERENCES) else said}"


def _options(config: Mapping[str, Any], host: Mapping[str, Any], mounts: list[Any]) -> dict[str, Any]:
    """What is not as by default; an engine that knows more options than the last one changes nothing."""
    said = {name: config.get(name) for name in _OPTIONS} | {name: host.get(name) for name in _HOST_OPTIONS}
    writable = sorted(str(mount.get("Destination")) for mount in mounts if mount.get("RW"))
    return {name: value for name, value in {**said, "writable": writable}.items() if value}


_NAMELESS = re.compile(r"[0-9a-f]{64}")


def _volume(mount: Mapping[str, Any]) -> str:
    """Its name or place; of one that nobody named, as much as tells it from another."""
    name = str(mount.get("Name") or mount.get("Source"))
    return f"anonymous-{name[:8]}" if _NAMELESS.fullmatch(name) else name


def digest(value: Any) -> str:
    """Short on purpose: it tells that something changed, and is too little to try out what it was made from."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8]


def _ports(bindings: Mapping[str, Any]) -> list[str]:
    return sorted(f"{bound.get('HostPort')}:{port}" for port in bindings for bound in items(bindings, port))
