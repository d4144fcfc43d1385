"""One channel is told of what it is to be told of; a crash loses nothing, and no other channel waits for it.

What is told is a view of the events in the store, and how far it was told is kept there too: written after each
delivery. So each message goes out at least once, in order, whatever was killed meanwhile; its `id` tells a receiver
what it has had already.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from watchkeeper.domain import Event, Incident, now
from watchkeeper.domain.notification import Answer, Letter, Message, Thread
from watchkeeper.notify.backlog import backlog, latest, summary
from watchkeeper.notify.channel import Channel
from watchkeeper.notify.flapping import Flapping
from watchkeeper.notify.routing import Route
from watchkeeper.notify.silences import ENDED, Silences
from watchkeeper.notify.telling import ABOUT_CHANNELS, TOLD, Composer, wanted
from watchkeeper.store import Lease, LeaseTaken, Store, new_id
from watchkeeper.telemetry import Metrics

log = structlog.get_logger(__name__)
T = TypeVar("T")
PAUSE = 0.5
"""Seconds before the second try; each further pause is twice as long, up to `LONGEST`."""
LONGEST = 60.0
LAST_SECONDS = 2.0
"""How long the end waits for what is still to be sent; what is not is sent after the next start."""
POLL = 15.0
"""Seconds until the store is asked without having heard of anything: another executor may have written."""
SILENT = 300.0
"""Seconds of vain tries after which the other channels are told that this one cannot be reached."""
STUCK = 900.0
"""Seconds for which one message is answered with an error before it is seen whether the next one would go through."""
OLD = timedelta(hours=24)
STANDING = ("incident.opened", "incident.reopened", "incident.escalated", "approval.requested")
"""What a silence kept back and is told after all at its end, where the incident is not over."""
_PAGE = 500


class _Ended(Exception):
    """It is to end: what waits stays in the store."""


class Deliverer:
    """Sending never delays the loop; a receiver that does not answer is tried until it does. Of several executors on
    one store, one sends."""

    def __init__(
        self,
        channel: Channel,
        route: Route,
        store: Store,
        silences: Silences,
        composer: Composer,
        flapping: Flapping,
        metrics: Metrics | None = None,
    ) -> None:
        self.channel = channel
        self.cursor = "webhook.told" if channel.name == "webhook" else f"notify.told.{channel.name}"
        """The setting that holds the `seq` of the last event that was delivered, refused, or left out."""
        self._standing = f"notify.standing.{channel.name}"
        self._kinds = channel.hears & route.kinds
        self._route = route
        self._store = store
        self._silences = silences
        self._composer = composer
        self._flapping = flapping
        self._metrics = metrics
        name = channel.name if channel.name == "webhook" else f"notify.{channel.name}"
        self._lease = Lease(name, new_id("hook"))
        self._poke = asyncio.Event()
        self._again = asyncio.Event()
        self._idle = asyncio.Event()
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ahead: set[int] = set()

    async def start(self) -> None:
        """Begin with what was not delivered last time; on a store that never told it anything, with what comes now."""
        if await self._store.setting(self.cursor) is None:
            newest = await self._store.events(limit=1, newest=True)
            await self._told(newest[0].seq if newest else 0)
        self._store.listen(self.hear)
        self._poke.set()
        self._task = asyncio.create_task(self._run(), name=f"notify {self.channel.name}")

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
        if event.kind in self._kinds:
            self._idle.clear()
            self._poke.set()

    def hurry(self) -> None:
        """Try again at once: somebody has mended something."""
        self._again.set()
        self._poke.set()

    async def waiting(self) -> list[Event]:
        """What is not told yet, oldest first."""
        after, found = int(await self._store.setting(self.cursor, 0)), list[Event]()
        while page := await self._store.events(after=after, kinds=self._kinds, limit=_PAGE):
            found += page
            after = page[-1].seq
        return [event for event in found if self._mine(event)]

    async def problem(self) -> dict[str, Any] | None:
        """What keeps it from telling now: `problem`, `since`; None where nothing does."""
        return await self._store.setting(self._standing)

    # Round after round -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._until_ended(_within(POLL, self._poke))
                self._poke.clear()
                while await self._round():
                    pass
            except _Ended:
                return
            except LeaseTaken:
                log.debug("another executor tells it", channel=self.channel.name)
            except Exception as problem:  # the store may be away for a while; it keeps what is to be told
                log.error("notifications cannot be sent now", channel=self.channel.name, problem=str(problem))
            if not self._poke.is_set():
                self._idle.set()

    async def _round(self) -> bool:
        """Deliver what waits; whether to look again, since something came or grew old meanwhile."""
        await self._store.take(self._lease)
        waiting = await self.waiting()
        if self._metrics is not None:
            self._metrics.notifications_waiting.labels(self.channel.name).set(len(waiting))
        if not waiting:
            return False
        late, fresh = backlog(waiting)
        if late:
            for event, message in await self._late(late):
                await self._send(message, event)
            await self._told(late[-1].seq)
        for event in fresh:
            for message in await self._messages(event):
                if not await self._send(message, event, patient=False):
                    return True
            await self._told(event.seq)
        return True

    async def _late(self, late: Sequence[Event]) -> list[tuple[Event | None, Message]]:
        """What became old or too much: one message that says how many, or how each incident stands by now."""
        if not self.channel.collapses:
            told = [event for event in late if wanted(event)]
            return [(None, summary(told))] if told else []
        return [(event, message) for event in latest(late) for message in await self._messages(event)]

    async def _messages(self, event: Event) -> list[Message]:
        """What goes out because of an event: usually one message, or none."""
        if not wanted(event) or event.seq in self._ahead:
            return []
        if event.kind == ENDED:
            return await self._after_silence(event)
        verdict = await self._flapping.verdict(event)
        if verdict == "keep":
            return []
        message = await self._composer.message(event)
        if verdict == "begins":
            message = replace(message, kind="incident.flapping", text=self._flapping.text(event))
        if not self._route.takes(message, told=await self._thread(message) is not None):
            return []
        silence = await self._silences.keeps_back(event)
        if silence is not None and event.kind in TOLD:
            await self._silences.keep_back(silence, event)
        return [message] if silence is None else []

    async def _after_silence(self, ended: Event) -> list[Message]:
        """How much it kept back, and what of that still stands."""
        kept = await self._silences.kept(ended.subject)
        if not kept:
            return []
        found = list[Message]()
        message = await self._composer.message(ended)
        if self._route.takes(message, told=False):
            found.append(message)
        standing = {event.incident: event for event in kept if event.kind in STANDING and event.incident}
        for key, event in standing.items():
            incident = await self._store.find(Incident, key)
            if (
                incident is None
                or incident.status == "closed"
                or await self._silences.keeps_back(replace(event, at=now()))
            ):
                continue
            message = await self._composer.message(event, f"it still stands after the silence: {event.text}")
            if self._route.takes(message, told=False):
                found.append(message)
        return found

    def _mine(self, event: Event) -> bool:
        """A channel is not told of itself."""
        return event.kind not in ABOUT_CHANNELS or event.subject != self.channel.name

    # One message -------------------------------------------------------------------------------------------------

    async def _send(self, message: Message, event: Event | None, *, patient: bool = True) -> bool:
        """True once it is delivered, or given up; False where it grew too old to be told by itself (not `patient`)."""
        attempt, began = 0, asyncio.get_running_loop().time()
        while True:
            answer = await self._attempt(message)
            if answer.result in ("delivered", "passed"):
                await self._delivered(message, answer)
                return True
            if answer.result == "refused":
                await self._dead(message, answer.said, attempt + 1)
                return True
            attempt += 1
            lasted = asyncio.get_running_loop().time() - began
            if attempt in (1, 5) or attempt % 60 == 0:
                what = {"channel": self.channel.name, "problem": answer.said, "attempt": attempt}
                log.warning("it cannot be told now; it is tried again", **what)
            await self._stands(answer.said, lasted)
            if event and answer.answered and lasted > STUCK and await self._next_goes_through(event):
                await self._dead(message, f"{answer.said}, again and again, while others go through", attempt)
                return True
            if not patient and event is not None and now() - event.at > OLD:
                return False
            pause = max(answer.after or 0.0, min(LONGEST, PAUSE * 2 ** min(attempt - 1, 16)))
            self._again.clear()
            await self._until_ended(_within(pause, self._again))  # nobody tells that it is up again
            await self._store.take(self._lease)

    async def _attempt(self, message: Message) -> Answer:
        thread = await self._thread(message)
        try:
            answer = await self._until_ended(self.channel.send(message, thread.ref if thread else None))
        except _Ended:
            raise
        except Exception as problem:  # a message that cannot be written down as this channel wants it never will be
            log.exception("a notification cannot be sent", channel=self.channel.name, event_kind=message.kind)
            answer = Answer("refused", f"{type(problem).__name__}, an error of ours", answered=False)
        if self._metrics is not None and answer.result != "passed":
            outcome = {"delivered": "delivered", "later": "failed"}.get(answer.result, "dead")
            self._metrics.notifications.labels(self.channel.name, outcome).inc()
        return answer

    async def _thread(self, message: Message) -> Thread | None:
        if message.incident_id is None:
            return None
        return await self._store.find(Thread, Thread.key(self.channel.name, message.incident_id))

    async def remember(self, message: Message, answer: Answer) -> None:
        """That it was told, and what must be known to tell more of the same incident."""
        if answer.result == "delivered" and message.incident_id is not None:
            key = Thread.key(self.channel.name, message.incident_id)
            known = await self._store.find(Thread, key)
            if known is None or answer.thread is not None:
                await self._store.save(Thread(key, known.at if known else now(), dict(answer.thread or {})))

    async def _delivered(self, message: Message, answer: Answer) -> None:
        await self.remember(message, answer)
        if answer.result == "delivered" and (standing := await self.problem()) is not None:
            if standing.get("told"):
                text = f"the channel {self.channel.name} can be reached again"
                await self._store.emit(Event("channel.answers", self.channel.name, text, now()))
            async with self._store.transaction() as transaction:
                await transaction.set(self._standing, None)

    async def _stands(self, said: str, lasted: float) -> None:
        """Write down that it cannot be told now, once, and tell the others when that lasts."""
        standing = await self.problem() or {"since": now().isoformat()}
        tell = lasted > SILENT and not standing.get("told")
        if standing.get("problem") == said and not tell:
            return
        async with self._store.transaction() as transaction:
            await transaction.set(
                self._standing, {**standing, "problem": said, "told": tell or standing.get("told", False)}
            )
            if tell:
                text = f"the channel {self.channel.name} cannot be told anything since {lasted / 60:.0f} min: {said}"
                await transaction.emit(Event("channel.silent", self.channel.name, text, now()))

    async def _dead(self, message: Message, reason: str, attempts: int) -> None:
        """It is given up; it stays where people see it. Of a message about a dead one that is not told again."""
        log.warning("a notification is given up", channel=self.channel.name, reason=reason, event_kind=message.kind)
        at, key = now(), new_id("let")
        name, text = self.channel.name, message.text
        letter = Letter(key, name, message.id, message.kind, text, reason, at, message.incident_id, attempts=attempts)
        what = f"{name} could not be told of {message.kind} ({reason}): {text}"
        data: dict[str, object] = {"letter": key, "incident": message.incident_id, "event": message.id}
        told = [] if message.kind in ABOUT_CHANNELS else [Event("notification.dead", name, what, at, data=data)]
        await self._store.save(letter, *told)
        if self._metrics is not None:
            self._metrics.notifications_dead.labels(name).inc()

    async def _next_goes_through(self, stuck: Event) -> bool:
        """Whether it is this message alone that cannot be taken: the next one is sent, and not again."""
        for event in await self.waiting():
            if event.seq <= stuck.seq:
                continue
            for message in await self._messages(event):
                answer = await self._attempt(message)
                if answer.result == "delivered":
                    await self._delivered(message, answer)
                    self._ahead.add(event.seq)
                return answer.result == "delivered"
        return False

    async def _told(self, seq: int) -> None:
        async with self._store.transaction() as transaction:
            await transaction.set(self.cursor, seq)
        self._ahead = {ahead for ahead in self._ahead if ahead > seq}

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


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
