"""People who write to the support desk, and those who answer; each request is written into the ledger.

Runs as a process of its own: `python -m watchkeeper_lab.tickets.traffic --url … --ledger … --rate 15`; ends on SIGTERM.
"""

import asyncio
import random
import time
import uuid
from typing import Any

import httpx

from watchkeeper_lab.ledger import Ledger, Write
from watchkeeper_lab.pace import Pace
from watchkeeper_lab.visit import main

PEOPLE = 16
"""At most so many requests are on their way at once."""
PATIENCE = 4.0
"""Seconds somebody waits for an answer."""
SESSION_SECONDS = 1800
CUSTOMERS = 500
FIRST_TICKETS = 200
WEIGHTS = {"_read": 35, "_list": 10, "_help": 10, "_open": 17, "_reply": 8, "_draft": 12, "_login": 8}
"""How often each is done."""


class Person:
    """Somebody at the desk or in front of it."""

    def __init__(self, client: httpx.AsyncClient, ledger: Ledger, tickets: list[int]) -> None:
        self._client = client
        self._ledger = ledger
        self._tickets = tickets

    async def act(self) -> None:
        """Do one thing."""
        await getattr(self, random.choices([*WEIGHTS], [*WEIGHTS.values()])[0])()

    async def _request(self, method: str, route: str, path: str, body: Any = None) -> httpx.Response | None:
        """Send a request and record how it went; None where there was no answer."""
        began = time.monotonic()
        answer: httpx.Response | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._client.request(method, path, json=body)
        except (httpx.HTTPError, TimeoutError):
            pass
        self._ledger.request(method, route, answer.status_code if answer else 0, time.monotonic() - began)
        return answer

    def _ticket(self) -> int:
        return random.choice(self._tickets) if self._tickets else random.randint(1, FIRST_TICKETS)

    async def _read(self) -> None:
        await self._request("GET", "/api/tickets/{id}", f"/api/tickets/{self._ticket()}")

    async def _list(self) -> None:
        await self._request("GET", "/api/tickets", "/api/tickets")

    async def _help(self) -> None:
        await self._request("GET", "/help", "/help/")

    async def _open(self) -> None:
        subject, body = f"Question {uuid.uuid4().hex}", random.randbytes(random.randint(20, 300)).hex()
        customer = random.randint(1, CUSTOMERS)
        written = {"customer": customer, "subject": subject, "body": body}
        answer = await self._request("POST", "/api/tickets", "/api/tickets", written)
        if answer is not None and answer.status_code == 201:
            ticket = answer.json()["id"]
            self._tickets.append(ticket)
            del self._tickets[:-200]
            self._ledger.acknowledged([Write.of("ticket", str(ticket), subject)])

    async def _reply(self) -> None:
        text = random.randbytes(random.randint(20, 200)).hex()
        path = f"/api/tickets/{self._ticket()}/replies"
        answer = await self._request("POST", "/api/tickets/{id}/replies", path, {"text": text})
        if answer is not None and answer.status_code == 202:
            job = answer.json()["job"]
            self._ledger.acknowledged([Write.of("job", job, text)])

    async def _draft(self) -> None:
        name, text = uuid.uuid4().hex, random.randbytes(random.randint(20, 300)).hex()
        answer = await self._request("PUT", "/api/drafts/{id}", f"/api/drafts/{name}", {"text": text})
        if answer is not None and answer.status_code == 201:
            self._ledger.acknowledged([Write.of("draft", f"draft:{name}", text)])

    async def _login(self) -> None:
        answer = await self._request("POST", "/api/login", "/api/login", {"agent": f"agent-{random.randint(1, 40)}"})
        if answer is not None and answer.status_code == 201:
            kept, expires_at = answer.json(), time.time() + SESSION_SECONDS
            write = Write.of("session", f"sess:{kept['session']}", kept["document"], expires_at=expires_at)
            self._ledger.acknowledged([write])


async def visit(url: str, ledger: Ledger, rate: float, seconds: float) -> None:
    """Send `rate` requests per second to the desk at `url` for `seconds`, or until cancelled."""
    pace = Pace(rate)
    tickets: list[int] = []

    async def stay(person: Person) -> None:
        while True:
            await pace.turn()
            await person.act()

    limits = httpx.Limits(max_connections=PEOPLE, max_keepalive_connections=PEOPLE)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE, trust_env=False) as client:
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for _ in range(PEOPLE):
                    group.create_task(stay(Person(client, ledger, tickets)))
        except TimeoutError:
            pass


if __name__ == "__main__":
    main(visit)
