"""How the lab's nginx is reached: its file, its command, its status page."""

import re

from watchkeeper_lab.command import Finished
from watchkeeper_lab.services import Ground, Services

CONFIG: dict[Ground, str] = {"container": "/etc/nginx/nginx.conf", "process": "nginx.conf"}
"""Its configuration; a plain process' paths start at its folder."""


async def nginx(services: Services, *words: str, timeout: float = 10.0) -> Finished:
    """Run the nginx command beside the running one, as in `nginx(services, "-t")`; `timeout` in seconds."""
    place = () if services.ground == "container" else ("-p", ".", "-c", CONFIG["process"], "-e", "error.log")
    return await services.execute("nginx", "nginx", *place, *words, timeout=timeout)


def capacity(config: str) -> int:
    """Connections that this configuration allows: workers × connections of each (nginx' own defaults: 1 × 512)."""
    workers = re.search(r"^\s*worker_processes\s+(\d+)\s*;", config, re.MULTILINE)
    each = re.search(r"^\s*worker_connections\s+(\d+)\s*;", config, re.MULTILINE)
    return (int(workers[1]) if workers else 1) * (int(each[1]) if each else 512)


def active(status: str) -> int:
    """Active connections, from what `stub_status` says."""
    found = re.search(r"Active connections:\s*(\d+)", status)
    return int(found[1]) if found else 0
