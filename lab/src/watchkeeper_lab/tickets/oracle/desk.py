"""The desk as people use it: a ticket is opened, read and answered through the gate, and the answer is mailed."""

import asyncio
import json
import time

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.oracle.replicas import asked, expect, weigh

PROBE_SECONDS = 4.0
MAIL_SECONDS = 12.0
"""How long a mail may take, with everything that waits before it."""
ASKED = ("/status", "/api/tickets")


async def look(place: Place) -> Finding:
    """Use it; ask each replica past the gate; look at what memory each uses."""
    found = Finding()
    web = {name: one for name, one in place.states.items() if name.startswith("web-") and one.running}
    async with loopback(place.instance.front_url, timeout=PROBE_SECONDS) as client:
        parts = await asyncio.gather(
            _round(client), *[asked(name, state, ASKED, seconds=PROBE_SECONDS) for name, state in web.items()]
        )
    found.reasons += dict.fromkeys(reason for reason in parts if reason)
    workers = {name: one for name, one in place.states.items() if name.startswith("worker-") and one.running}
    for name, state in (web | workers).items():
        weigh(found, name, state)
    return found


async def _round(client: httpx.AsyncClient) -> str:
    """Open a ticket, read it, answer it, and wait for the mail; what went wrong, or nothing."""
    where = "GET /status"
    try:
        expect(await client.get("/status"), 200)
        where = "POST /api/tickets"
        asked = {"customer": 1, "subject": "Is it well?", "body": "It is asked."}
        ticket = expect(await client.post("/api/tickets", json=asked), 201)["id"]
        where = "GET /api/tickets/{id}"
        expect(await client.get(f"/api/tickets/{ticket}"), 200)
        where = "POST /api/tickets/{id}/replies"
        job = expect(await client.post(f"/api/tickets/{ticket}/replies", json={"text": "It is."}), 202)["job"]
        where = "GET /api/mails/{id}"
        deadline = time.monotonic() + MAIL_SECONDS
        while (answer := await client.get(f"/api/mails/{job}")).status_code == 404:
            if time.monotonic() > deadline:
                return f"a mail was not sent within {MAIL_SECONDS:.0f} s"
            await asyncio.sleep(0.1)
        expect(answer, 200)
    except (httpx.HTTPError, json.JSONDecodeError, AssertionError) as error:
        return f"the desk failed at {where}: {brief(error)}"
    return ""
