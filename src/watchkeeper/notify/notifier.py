"""All channels together: what each is told, what waits, what could not be delivered, and what is done about that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx

from watchkeeper.domain import Conflict, Event, NotFound, Principal, now
from watchkeeper.domain.notification import Answer, Letter, Message, Thread
from watchkeeper.notify.channels import build
from watchkeeper.notify.deliverer import Deliverer
from watchkeeper.notify.flapping import Flapping
from watchkeeper.notify.routing import Route
from watchkeeper.notify.silences import Silences
from watchkeeper.notify.telling import Composer
from watchkeeper.settings.notify import NotifySettings
from watchkeeper.store import Store
from watchkeeper.telemetry import Metrics

MOST = 500
TEST = "notification.test"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one channel stands."""

    name: str
    kind: str
    where: str
    waiting: int
    waiting_since: datetime | None
    dead: int
    problem: str = ""
    since: datetime | None = None


class Notifier:
    """Begun and ended with the server. Each channel has a cursor of its own."""

    def __init__(
        self,
        said: NotifySettings,
        address: str,
        store: Store,
        silences: Silences,
        metrics: Metrics | None = None,
        *,
        public: bool = False,
    ) -> None:
        """`address`: where the API is reached; `public`: also by services that call back. Raises ConfigurationError
        where a secret cannot be read."""
        self._store = store
        self._metrics = metrics
        self._client: httpx.AsyncClient | None = None
        self._composer = Composer(store, silences, address)
        self._flapping = Flapping(store, said.flapping)
        self.deliverers = {
            one.name: Deliverer(
                build(one, self._shared(), store.masker.learn, public=public),
                Route(one),
                store,
                silences,
                self._composer,
                self._flapping,
                metrics,
            )
            for one in said.all_channels
        }

    def _shared(self) -> httpx.AsyncClient:
        """One for all channels, made for the first: it takes a while to read which authorities to believe."""
        self._client = self._client or httpx.AsyncClient()
        return self._client

    async def start(self) -> None:
        if self.deliverers:
            self._flapping.start()
        for deliverer in self.deliverers.values():
            await deliverer.start()
        await self._count()

    async def stop(self) -> None:
        for deliverer in self.deliverers.values():
            await deliverer.stop()
        await self._flapping.stop()
        if self._client is not None:
            await self._client.aclose()

    async def standings(self) -> list[Standing]:
        """Every channel, in the order of the configuration."""
        dead = await self.dead()
        found = list[Standing]()
        for name, deliverer in self.deliverers.items():
            waiting, problem = await deliverer.waiting(), await deliverer.problem() or {}
            found.append(
                Standing(
                    name,
                    deliverer.channel.kind,
                    deliverer.channel.where,
                    len(waiting),
                    waiting[0].at if waiting else None,
                    sum(letter.channel == name for letter in dead),
                    str(problem.get("problem", "")),
                    datetime.fromisoformat(problem["since"]) if problem else None,
                )
            )
        return found

    async def test(self, name: str, who: Principal) -> Answer:
        """Send one message that says it is a test; what came back. Raises NotFound."""
        deliverer = self._named(name)
        text = f"a test of the channel {name}, asked for by {who.name}: nothing is wrong"
        message = Message(0, TEST, text, now(), who.id, subject=name, data={"test": True})
        answer = await deliverer.channel.test(message)
        if answer.result == "delivered":
            deliverer.hurry()
        return answer

    # Dead letters ------------------------------------------------------------------------------------------------

    async def dead(self, channel: str | None = None) -> list[Letter]:
        """What could not be delivered, newest first."""
        if channel is not None:
            self._named(channel)
            return await self._store.select(Letter, limit=MOST, status="dead", channel=channel)
        return await self._store.select(Letter, limit=MOST, status="dead")

    async def letter(self, key: str) -> Letter:
        """Raises NotFound, and Conflict where it is dead no more."""
        letter = await self._store.find(Letter, key)
        if letter is None:
            raise NotFound(f"There is no dead letter {key}.", "`watchkeeper notify dead` lists them.")
        if letter.status != "dead":
            raise Conflict(f"{key} was {letter.status} by {letter.by} already.")
        return letter

    async def retry(self, letters: Sequence[Letter], who: Principal) -> list[Letter]:
        """Send them once more, oldest first; each as it is then. A channel that does not answer is asked once."""
        found, away = list[Letter](), set[str]()
        for letter in sorted(letters, key=lambda letter: letter.at):
            if letter.channel in away:
                found.append(letter)
                continue
            tried, answered = await self._retried(letter, who)
            found.append(tried)
            if not answered:
                away.add(letter.channel)
        return found

    async def dismiss(self, letter: Letter, who: Principal) -> Letter:
        """Nobody needs it any more."""
        return await self._ended(letter, "dismissed", who)

    async def _retried(self, letter: Letter, who: Principal) -> tuple[Letter, bool]:
        """The letter afterwards, and whether anybody answered."""
        deliverer = self.deliverers.get(letter.channel)
        found = await self._store.events(after=letter.event - 1, limit=1)
        if deliverer is None or not found or found[0].seq != letter.event:
            why = "its channel is not configured any more" if deliverer is None else "its event is gone"
            return await self._failed(letter, why), True
        message = await self._composer.message(found[0], letter.text)
        key = Thread.key(letter.channel, letter.incident or "")
        thread = await self._store.find(Thread, key)
        answer = await deliverer.channel.send(message, thread.ref if thread else None)
        if answer.result in ("refused", "later"):
            return await self._failed(letter, answer.said), answer.answered
        await deliverer.remember(message, answer)
        return await self._ended(letter, "delivered", who), True

    async def _failed(self, letter: Letter, why: str) -> Letter:
        failed = letter.tried(why, now())
        await self._store.save(failed)
        return failed

    async def _ended(self, letter: Letter, status: Literal["delivered", "dismissed"], who: Principal) -> Letter:
        ended = letter.end(status, who.id, now())
        text = f"{who.name}: {letter.id} for {letter.channel} was {status}"
        await self._store.save(ended, Event(f"notification.{status}", letter.id, text, now(), who.id))
        await self._count()
        return ended

    def _named(self, name: str) -> Deliverer:
        if name not in self.deliverers:
            known = ", ".join(self.deliverers) or "none is configured"
            raise NotFound(f"There is no channel {name!r} ({known}).", "docs/notifications.md tells how to add one.")
        return self.deliverers[name]

    async def _count(self) -> None:
        if self._metrics is None:
            return
        dead = await self.dead()
        for name in self.deliverers:
            self._metrics.notifications_dead.labels(name).set(sum(letter.channel == name for letter in dead))
