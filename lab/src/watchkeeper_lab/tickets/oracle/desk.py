"""The desk as people use it: a ticket is opened, read and answered through the gate, and the answer is mailed."""

import asyncio
import json
import time
from typing import Any

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.oracle.shop import memory_used
from watchkeeper_lab.services import ServiceState

PROBE_SECONDS = 4.0
MAIL_SECONDS = 12.0
"""How long a mail may take, with everything that waits before it."""
ASKED = ("/status", "/api/tickets")
TIMES = 3
MEMORY_LIMIT = 0.92
"""Share of its memory limit from which a container counts as about to be ended by the kernel."""


async def look(place: Place) -> Finding:
    """Use it; ask each replica past the gate; look at what memory each uses."""
    found = Finding()
    web = {name: one for name, one in place.states.items() if name.startswith("web-") and one.running}
    async with loopback(place.instance.front_url, timeout=PROBE_SECONDS) as client:
        parts = await asyncio.gather(_round(client), *[_replica(name, state) for name, state in web.items()])
    found.reasons += dict.fromkeys(reason for reason in parts if reason)
    workers = {name: one for name, one in place.states.items() if name.startswith("worker-") and one.running}
    for name, state in (web | workers).items():
        used = memory_used(state.pid) if state.memory_limit else None
        if used is not None:
            found.facts[f"{name.replace('-', '_')}_memory_ratio"] = round(used / state.memory_limit, 4)
            if used / state.memory_limit >= MEMORY_LIMIT:
                found.reasons.append(f"{name} uses {used / state.memory_limit:.1%} of its memory limit")
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
    """Open a ticket, read it, answer it, and wait for the mail; what went wrong, or nothing."""
    where = "GET /status"
    try:
        _expect(await client.get("/status"), 200)
        where = "POST /api/tickets"
        asked = {"customer": 1, "subject": "Is it well?", "body": "It is asked."}
        ticket = _expect(await client.post("/api/tickets", json=asked), 201)["id"]
        where = "GET /api/tickets/{id}"
        _expect(await client.get(f"/api/tickets/{ticket}"), 200)
        where = "POST /api/tickets/{id}/replies"
        job = _expect(await client.post(f"/api/tickets/{ticket}/replies", json={"text": "It is."}), 202)["job"]
        where = "GET /api/mails/{id}"
        deadline = time.monotonic() + MAIL_SECONDS
        while (answer := await client.get(f"/api/mails/{job}")).status_code == 404:
            if time.monotonic() > deadline:
                return f"a mail was not sent within {MAIL_SECONDS:.0f} s"
            await asyncio.sleep(0.1)
        _expect(answer, 200)
    except (httpx.HTTPError, json.JSONDecodeError, AssertionError) as error:
        return f"the desk failed at {where}: {brief(error)}"
    return ""


def _expect(answer: httpx.Response, status: int) -> Any:
    if answer.status_code != status:
        raise AssertionError(f"status {answer.status_code}")
    return answer.json()
