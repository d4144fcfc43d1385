"""One URL that is told of incidents, and of every fix that waits for a person."""

import asyncio
from contextlib import suppress

import httpx
import structlog

from watchkeeper.domain import Event

log = structlog.get_logger(__name__)
TOLD = frozenset(
    {
        "incident.opened",
        "incident.reopened",
        "incident.escalated",
        "incident.closed",
        "approval.requested",
        "approval.expired",
        "fix.would",
    }
)
TRIES = 5
PAUSE = 0.5
"""Seconds before the second try; each further pause is twice as long."""
LAST_SECONDS = 2.0
"""How long the end waits for what is still to be sent."""
KEPT = 1000
"""Messages waiting to be sent; beyond it the oldest is dropped, and that is logged."""


class Webhook:
    """POSTs JSON: `{"kind", "text", "incident", "resource", "at", "data", "links"}`.

    The text field is what Slack-compatible receivers show. Sending never delays the loop; a receiver that does not
    answer is tried again, five times with growing pauses.
    """

    def __init__(self, url: str, api: str) -> None:
        self._url = url
        self._api = api.rstrip("/")
        self._queue: asyncio.Queue[Event] = asyncio.Queue(KEPT)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="webhook")

    async def stop(self) -> None:
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await self._queue.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hear(self, event: Event) -> None:
        """Takes events as they are committed."""
        if event.kind not in TOLD:
            return
        if self._queue.full():
            dropped = self._queue.get_nowait()
            self._queue.task_done()
            log.warning("a notification was dropped: the receiver does not keep up", event_kind=dropped.kind)
        self._queue.put_nowait(event)

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                event = await self._queue.get()
                try:
                    await self._send(client, event)
                except Exception as problem:  # a URL or a message that cannot be sent: the next may be
                    log.error("a notification cannot be sent", problem=str(problem), event_kind=event.kind)
                finally:
                    self._queue.task_done()

    async def _send(self, client: httpx.AsyncClient, event: Event) -> None:
        body = {
            "kind": event.kind,
            "text": f"[watchkeeper] {event.text}" + self._next(event),
            "incident": event.incident,
            "resource": event.resource,
            "at": event.at.isoformat(),
            "data": event.data,
            "links": {"incident": f"{self._api}/api/incidents/{event.incident}"} if event.incident else {},
        }
        for attempt in range(TRIES):
            try:
                answer = await client.post(self._url, json=body)
                if answer.status_code < 500 and answer.status_code != 429:
                    if answer.is_error:
                        log.warning("the webhook refuses", status=answer.status_code, event_kind=event.kind)
                    return
            except httpx.HTTPError as problem:
                log.info("the webhook cannot be reached", problem=type(problem).__name__, attempt=attempt + 1)
            await asyncio.sleep(PAUSE * 2**attempt)  # a receiver gives no event for being up again
        log.warning("a notification could not be delivered", event_kind=event.kind, incident=event.incident)

    def _next(self, event: Event) -> str:
        if event.kind == "approval.requested":
            return f" — decide with `watchkeeper approve {event.subject}` or `watchkeeper reject {event.subject}`"
        return ""
