"""Judges whether the shop is well, with probes of its own. It asks nobody else, least of all Watchkeeper."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import psycopg
from redis.exceptions import RedisError

from watchkeeper_lab.audit import Audit, audit
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.ledger import Ledger
from watchkeeper_lab.oracle import nginx, postgres, redis, running, shop
from watchkeeper_lab.oracle.finding import Facts, Finding, Judgement, Part, Place, brief
from watchkeeper_lab.services import Services
from watchkeeper_lab.stack import SHOP, TICKETS
from watchkeeper_lab.tickets import oracle as tickets
from watchkeeper_lab.tickets.audit import audit as audit_tickets

PARTS: dict[str, tuple[Part, ...]] = {
    SHOP.name: (running, redis, postgres, nginx, shop),
    TICKETS.name: (running, redis, postgres, tickets.pooler, tickets.pages, tickets.desk),
}
"""By stack. Each looks by itself; the first reasons are those of the first."""
AUDITS: dict[str, Callable[[Ledger, Instance], Awaitable[Audit]]] = {SHOP.name: audit, TICKETS.name: audit_tickets}

AGAIN_SECONDS = 0.5
"""What is wrong at one look is looked at once more so much later."""

__all__ = ["Facts", "Finding", "Judgement", "Oracle", "Place"]


class Oracle:
    """The judge of one lab."""

    def __init__(self, instance: Instance, ledger: Ledger, services: Services) -> None:
        self._instance = instance
        self._ledger = ledger
        self._services = services

    async def judge(self, *, with_audit: bool = True) -> Judgement:
        """Look at the services, use each as a client would, and read every acknowledged write back.

        A part that finds something wrong looks once more, and what it finds then counts: a machine that is busy for a
        moment answers too late now and then, and what is broken is so at the second look, too.
        """
        parts = PARTS[self._instance.stack_name]
        findings = await self._looks(parts)
        if doubtful := [number for number, one in enumerate(findings) if one.reasons]:
            await asyncio.sleep(AGAIN_SECONDS)
            again = await self._looks([parts[number] for number in doubtful])
            for number, later in zip(doubtful, again, strict=True):
                findings[number] = later
        reasons = [reason for one in findings for reason in one.reasons]
        facts: Facts = {name: value for one in findings for name, value in one.facts.items()}
        untouched: Facts = {name: value for one in findings for name, value in one.untouched.items()}
        found: Audit | None = None
        if with_audit:
            try:
                found = await self.audit()
                reasons += [found.summary()] if found.lost else []
                facts["acknowledged_writes"], facts["lost_writes"] = found.checked, len(found.lost)
            except (RedisError, psycopg.Error, OSError) as error:
                reasons.append(f"the ledger could not be audited: {brief(error)}")
        return Judgement(time.time(), tuple(dict.fromkeys(reasons)), facts, found, untouched)

    async def _looks(self, parts: Sequence[Part]) -> list[Finding]:
        """What these parts find now."""
        place = Place(self._instance, self._services, await self._services.states())
        return await asyncio.gather(*[part.look(place) for part in parts])

    async def audit(self) -> Audit:
        """Read every acknowledged write back; raises `redis.RedisError` or `psycopg.Error` where a store is silent."""
        return await AUDITS[self._instance.stack_name](self._ledger, self._instance)
