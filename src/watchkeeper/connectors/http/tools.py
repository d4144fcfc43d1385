"""Looking closer, and starting anew what a service runs on."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import MaxLen

from watchkeeper.connectors import hosting
from watchkeeper.connectors.asking import unmet
from watchkeeper.connectors.http.patience import PATIENT
from watchkeeper.connectors.http.session import HttpSession
from watchkeeper.domain import Effect, Reading, Refused, Tool, WatchkeeperError, tool
from watchkeeper.domain.rights import machine
from watchkeeper.domain.saying import say
from watchkeeper.hosts.rights import RESTARTS
from watchkeeper.settings.expect import Expect

_POLL_SECONDS = 0.1
_SHOWN = 2000
REACHES = machine("a way to its port over the network", gives="anything of an HTTP service; nothing else is needed")
_HEADERS = ("content-type", "content-length", "server", "date", "retry-after", "location", "cache-control")


def names_no_other(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What waits for something else is not cured by a restart."""
    if reading.metrics.get("dependencies_down", 0.0) > 0:
        return f"It says itself that {reading.facts.get('dependency')} is down: a restart would not change that."
    return None


def is_not_starting(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What has just been started is waited for."""
    return "It was started a moment ago and is waited for." if reading.metrics.get("starting", 0.0) > 0 else None


async def start_count(session: HttpSession) -> dict[str, Any]:
    """Changes with every start of what it runs on."""
    return await hosting.start_count(session.host)


@tool(Effect.READ, timeout=10.0, rights=REACHES, by_hand="curl -si URL{path}")
async def http_request(session: HttpSession, path: Annotated[str, MaxLen(2000)] = "") -> dict[str, Any]:
    """GET a path of the service (by default its health) and show status, time, the telling headers and how the answer
    begins. Never more than looking: no other method, nothing sent."""
    path = path or session.wanted.health
    if not path.startswith("/") or path.startswith("//"):
        raise Refused("A path begins with one /; for example /healthz.")
    answer = await session.get(path, timeout=8.0)
    if not answer.answered:
        return {"url": answer.url, "error": answer.said, "seconds": round(answer.seconds, 3)}
    headers = {name: value for name, value in (answer.headers or {}).items() if name in _HEADERS}
    text = answer.text if len(answer.text) <= _SHOWN else f"{answer.text[:_SHOWN]}… ({len(answer.text)} characters)"
    return {
        "url": answer.url,
        "status": answer.status,
        "seconds": round(answer.seconds, 3),
        "headers": headers,
        "text": text,
    }


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=20.0,
    timeout=90.0,
    requires=(hosting.has_a_host, names_no_other, is_not_starting),
    rights=(*REACHES, *RESTARTS),
    by_hand="{restart}",
)
async def http_restart(session: HttpSession) -> dict[str, Any]:
    """Restart what the service runs on, and wait until it answers. Requests it has under way get the time to end that
    its host grants (ten seconds for a container, or less where it declares that); what it kept only in memory is
    lost."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    await session.host.restart()
    await session.aclose()
    begun = time.perf_counter()
    answer = await session.get(session.wanted.health, timeout=PATIENT)
    while not answer.answered:
        if time.perf_counter() - begun > session.wanted.settings.start_period:
            raise WatchkeeperError(f"It was restarted and does not answer: {answer.said}.", "Read its log.")
        say(f"not yet: {answer.said}")
        await asyncio.sleep(_POLL_SECONDS)
        answer = await session.get(session.wanted.health, timeout=PATIENT)
    wrong = unmet(answer, Expect())
    return {**await start_count(session), "answered": wrong or f"{answer.status}"}


TOOLS: tuple[Tool[HttpSession], ...] = (http_request, http_restart)
