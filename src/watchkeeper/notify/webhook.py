"""One URL that is told of incidents, and of every fix that waits for a person; a crash loses nothing.

What is told is a view of the events in the store, and how far it was told is kept there too: written after each
delivery. So each message goes out at least once, in order, whatever was killed meanwhile; its `id` tells a receiver
what it has had already.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import structlog

from watchkeeper.domain import Event, now
from watchkeeper.notify.silences import ENDED, Silences, counted
from watchkeeper.store import Lease, LeaseTaken, Store, new_id

log = structlog.get_logger(__name__)
T = TypeVar("T")
TOLD = frozenset(
    {
        "incident.opened",
        "incident.reopened",
        "incident.acknowledged",
        "incident.escalated",
        "incident.closed",
        "incident.merged",
        "approval.requested",
        "approval.expired",
        "fix.would",
        "fix.inconclusive",
        "fix.not_healed",
        "connector.quarantined",
        "connector.released",
        "breaker.opened",
        "source.silent",
        "source.tells",
        "silence.ended",
    }
)
ALONE = frozenset({"fix.inconclusive", "fix.not_healed"})
"""Told only of a fix without an incident: with one, the incident says so."""
CURSOR = "webhook.told"
"""The setting that holds the `seq` of the last event that was delivered, refused, or left out and said so."""
PAUSE = 0.5
"""Seconds before the second try; each further pause is twice as long, up to `LONGEST`."""
LONGEST = 60.0
LAST_SECONDS = 2.0
"""How long the end waits for what is still to be sent; what is not is sent after the next start."""
POLL = 15.0
"""Seconds until the store is asked without having heard of anything: another executor may have written."""
OLD = timedelta(hours=24)
MOST = 100
"""What is older than `OLD`, or lies before the newest so many, is not told one by one: one message says how many."""
_PAGE = 500


class _Ended(Exception):
    """It is to end: what waits stays in the store."""


class Webhook:
    """POSTs JSON: `{"id", "kind", "text", "incident", "resource", "at", "data", "links"}`.

    The text field is what Slack-compatible receivers show. Sending never delays the loop; a receiver that does not
    answer is tried until it does. Of several executors on one store, one sends.
    """

    def __init__(self, url: str, api: str, store: Store, silences: Silences | None = None) -> None:
        self._silences = silences or Silences(store)
        self._url = url
        self._api = api.rstrip("/")
        self._store = store
        self._lease = Lease("webhook", new_id("hook"))
        self._poke = asyncio.Event()
        self._idle = asyncio.Event()
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what was not delivered last time; on a store that never told anybody, with what comes now."""
        if await self._store.setting(CURSOR) is None:
            newest = await self._store.events(limit=1, newest=True)
            await self._told(newest[0].seq if newest else 0)
        self._store.listen(self.hear)
        self._poke.set()
        self._task = asyncio.create_task(self._run(), name="webhook")

    async def stop(self) -> None:
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await self._idle.wait()
            self._end.set()
            await asyncio.gather(self._task, return_exceptions=True)
            with suppress(Exception):
                await self._store.release(self._lease)

    def hear(self, event: Event) -> None:
        """Something was committed: see whether it is to be told."""
        if event.kind in TOLD:
            self._idle.clear()
            self._poke.set()

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                try:
                    await self._until_ended(_within(POLL, self._poke))
                    self._poke.clear()
                    while await self._round(client):
                        pass
                except _Ended:
                    return
                except LeaseTaken:
                    log.debug("another executor tells the webhook")
                except Exception as problem:  # the store may be away for a while; it keeps what is to be told
                    log.error("notifications cannot be sent now", problem=str(problem))
                if not self._poke.is_set():
                    self._idle.set()

    async def _round(self, client: httpx.AsyncClient) -> bool:
        """Deliver what waits; whether to look again, since something came or grew old meanwhile."""
        await self._store.take(self._lease)
        waiting = await self._waiting()
        if not waiting:
            return False
        late, fresh = backlog(waiting)
        if late:
            if any(wanted(event) for event in late):
                await self._send(client, _summary(late))
            await self._told(late[-1].seq)
        for event in fresh:
            if await self._to_tell(event) and not await self._send(client, await self._message(event), event):
                return True
            await self._told(event.seq)
        return True

    async def _to_tell(self, event: Event) -> bool:
        """Whether it goes out. What a silence keeps back is written down; its end is told where it kept back any."""
        if not wanted(event):
            return False
        if event.kind == ENDED:
            return bool(await self._silences.kept_back(event.subject))
        silence = await self._silences.keeps_back(event)
        if silence is not None:
            await self._silences.keep_back(silence, event)
        return silence is None

    async def _waiting(self) -> list[Event]:
        after, found = int(await self._store.setting(CURSOR, 0)), list[Event]()
        while page := await self._store.events(after=after, kinds=TOLD, limit=_PAGE):
            found += page
            after = page[-1].seq
        return found

    async def _told(self, seq: int) -> None:
        async with self._store.transaction() as transaction:
            await transaction.set(CURSOR, seq)

    async def _send(self, client: httpx.AsyncClient, body: dict[str, Any], event: Event | None = None) -> bool:
        """True once it is delivered, or can never be; False where it grew too old to be told by itself."""
        attempt, kind = 0, body["kind"]
        while True:
            try:
                answer = await self._until_ended(client.post(self._url, json=body))
                if answer.status_code < 500 and answer.status_code != 429:
                    if answer.is_error:
                        log.warning("the webhook refuses", status=answer.status_code, event_kind=kind)
                    return True
                said = f"status {answer.status_code}"
            except httpx.HTTPError as problem:
                said = type(problem).__name__
            except _Ended:
                raise
            except Exception as problem:  # no URL, or a message that is no JSON: it will never go out
                log.error("a notification cannot be sent", problem=str(problem), event_kind=kind)
                return True
            attempt += 1
            if attempt in (1, 5) or attempt % 60 == 0:
                log.warning("the webhook cannot be reached; it is tried again", problem=said, attempt=attempt)
            if event is not None and now() - event.at > OLD:
                return False
            pause = min(LONGEST, PAUSE * 2 ** min(attempt - 1, 16))
            await self._until_ended(asyncio.sleep(pause))  # nobody tells that it is up again
            await self._store.take(self._lease)

    async def _until_ended(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Its result; cut off at the end. What talks to the store is not, which leaves its connections in order."""
        task, end = asyncio.ensure_future(waiting), asyncio.ensure_future(self._end.wait())
        try:
            await asyncio.wait((task, end), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Ended
        finally:
            task.cancel()
            end.cancel()
            await asyncio.gather(task, end, return_exceptions=True)

    async def _message(self, event: Event) -> dict[str, Any]:
        more = f": {counted(await self._silences.kept_back(event.subject))}" if event.kind == ENDED else ""
        return {
            "id": event.seq,
            "kind": event.kind,
            "text": f"[watchkeeper] {event.text}{more}" + _next(event),
            "incident": event.incident,
            "resource": event.resource,
            "at": event.at.isoformat(),
            "data": event.data,
            "links": self._links(event),
        }

    def _links(self, event: Event) -> dict[str, str]:
        links = {"incident": f"{self._api}/api/incidents/{event.incident}"} if event.incident else {}
        return links | ({"fix": f"{self._api}/api/fixes/{event.subject}"} if event.kind in ALONE else {})


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def wanted(event: Event) -> bool:
    """Whether people are told of it."""
    return event.kind in TOLD and (event.kind not in ALONE or event.incident is None)


def backlog(waiting: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """What is told in one message because it is old or too much, and what is told one by one, oldest first."""
    since = now() - OLD
    first = next((index for index, event in enumerate(waiting) if event.at >= since), len(waiting))
    first = max(first, len(waiting) - MOST)
    return list(waiting[:first]), list(waiting[first:])


def _summary(late: Sequence[Event]) -> dict[str, Any]:
    told = [event for event in late if wanted(event)]
    counts = Counter(event.kind for event in told)
    which = ", ".join(f"{number} × {kind}" for kind, number in counts.most_common())
    text = (
        f"[watchkeeper] {len(told)} notifications from {told[0].at:%Y-%m-%d %H:%M} to {told[-1].at:%Y-%m-%d %H:%M} UTC "
        f"could not be delivered then and are not repeated one by one ({which}). See `watchkeeper incidents`."
    )
    return {
        "id": late[-1].seq,
        "kind": "notifications.summary",
        "text": text,
        "incident": None,
        "resource": None,
        "at": now().isoformat(),
        "data": {"first": told[0].seq, "last": told[-1].seq, "kinds": dict(counts)},
        "links": {},
    }


def _next(event: Event) -> str:
    if event.kind == "approval.requested":
        return f" — decide with `watchkeeper approve {event.subject}` or `watchkeeper reject {event.subject}`"
    if event.kind in ALONE:
        return " — nobody else looks after it: see whether it is as it should be"
    return ""
