"""The shop: orders through nginx as visitors place them, and each replica by itself."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.services import ServiceState

PROBE_SECONDS = 3.0
ROUNDS = 2
"""Rounds of seven requests each through nginx; each replica is asked by itself besides."""
ASKED = ("/ready", "/catalogue")
TIMES = 3
"""How often each replica is asked for each of these: one that fails now and then is found."""
MEMORY_LIMIT = 0.92
"""Share of its memory limit from which a replica counts as about to be ended by the kernel."""
CGROUPS = Path("/sys/fs/cgroup")


async def look(place: Place) -> Finding:
    """Fill carts and order; ask each replica past nginx; look at what memory each uses."""
    found = Finding()
    url = f"http://127.0.0.1:{place.instance.ports['NGINX_PORT']}"
    replicas = {name: state for name, state in place.states.items() if name.startswith("shop-") and state.running}
    async with loopback(url, timeout=PROBE_SECONDS) as client:
        parts = await asyncio.gather(
            *[_round(client) for _ in range(ROUNDS)], *[_replica(name, state) for name, state in replicas.items()]
        )
    found.reasons += dict.fromkeys(reason for reason in parts if reason)
    for name, state in replicas.items():
        found.facts[f"{name.replace('-', '_')}_restarts"] = state.restarts
        used = memory_used(state.pid) if state.memory_limit else None
        if used is not None:
            ratio = used / state.memory_limit
            found.facts[f"{name.replace('-', '_')}_memory_ratio"] = round(ratio, 4)
            if ratio >= MEMORY_LIMIT:
                found.reasons.append(f"{name} uses {ratio:.1%} of its memory limit")
    return found


async def _replica(name: str, state: ServiceState) -> str:
    """Ask one replica; what went wrong, or nothing."""
    failed: list[str] = []
    async with loopback(f"http://127.0.0.1:{state.port}", timeout=PROBE_SECONDS) as client:
        for path in ASKED * TIMES:
            try:
                answer = await client.get(path)
            except httpx.HTTPError as error:
                return f"{name} failed at GET {path}: {brief(error)}"
            failed += [f"status {answer.status_code} at GET {path}"] if answer.status_code >= 500 else []
    return f"{name} failed {len(failed)} of {len(ASKED) * TIMES} requests: {failed[0]}" if failed else ""


async def _round(client: httpx.AsyncClient) -> str:
    """Fill a cart, read it and order it; what went wrong, or nothing."""
    cart, where = uuid.uuid4().hex, "GET /ready"
    try:
        _expect(await client.get("/ready"), 200)
        where = "GET /catalogue"
        products = _expect(await client.get("/catalogue"), 200)
        where = "GET /catalogue/{id}"
        _expect(await client.get(f"/catalogue/{products[0]}"), 200)
        where = "POST /carts/{id}/items"
        _expect(await client.post(f"/carts/{cart}/items", json={"product": products[0], "quantity": 2}), 201)
        where = "GET /carts/{id}"
        if _expect(await client.get(f"/carts/{cart}"), 200) != {str(products[0]): 2}:
            return "the shop forgot what was put into a cart"
        where = "POST /checkout/{id}"
        order = _expect(await client.post(f"/checkout/{cart}"), 201)
        where = "GET /orders/{id}"
        _expect(await client.get(f"/orders/{order['id']}"), 200)
    except (httpx.HTTPError, json.JSONDecodeError, AssertionError) as error:
        return f"the shop failed at {where}: {brief(error)}"
    return ""


def _expect(answer: httpx.Response, status: int) -> Any:
    if answer.status_code != status:
        raise AssertionError(f"status {answer.status_code}")
    return answer.json()


def memory_used(pid: int) -> int | None:
    """Bytes that the control group of a process holds and cannot give back; None where this machine does not tell."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                folder, used, inactive = (
                    CGROUPS / "memory" / path.lstrip("/"),
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                )
                break
        else:
            folder, used, inactive = CGROUPS / lines[0].split(":", 2)[2].lstrip("/"), "memory.current", "inactive_file"
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int((folder / used).read_text()) - int(stat[inactive])
    except (OSError, ValueError, KeyError, IndexError):
        return None
