"""A store, and notifiers over it whose waits are short."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.domain.making import CACHE, alert
from watchkeeper.domain import Event, Incident, now
from watchkeeper.notify import Notifier, Silences, deliverer
from watchkeeper.settings.notify import NotifySettings
from watchkeeper.store import Masker, Store
from watchkeeper.telemetry import Metrics

API = "http://127.0.0.1:8000"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliverer, "PAUSE", 0.001)
    monkeypatch.setattr(deliverer, "LONGEST", 0.01)
    monkeypatch.setattr(deliverer, "LAST_SECONDS", 0.05)


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of one of a test's own."""
    return migrated.url(tmp_path / "w.db")


@pytest.fixture
async def kept(database: str) -> AsyncIterator[Store]:
    masker = Masker()
    masker.learn("hunter22")
    async with Store.open(database, masker) as opened:
        async with opened.transaction() as transaction:
            await transaction.put_resource(CACHE)
        yield opened


Notifies = Callable[..., Any]


@pytest.fixture
async def notifies(kept: Store, quick: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notifies]:
    """Begins to tell over channels that are configured so; ended after the test."""
    monkeypatch.setenv("PD_KEY", KEY)
    made: list[Notifier] = []

    async def begin(
        *channels: dict[str, Any], metrics: Metrics | None = None, public: bool = False, **more: Any
    ) -> Notifier:
        said = NotifySettings.model_validate({"channels": list(channels), **more})
        one = Notifier(said, API, kept, Silences(kept), metrics, public=public)
        made.append(one)
        await one.start()
        return one

    yield begin
    for one in made:
        await one.stop()


class Story:
    """An incident whose life is told step by step, as the desk would."""

    def __init__(self, store: Store, key: str = "inc-1", severity: str = "critical") -> None:
        self.store = store
        self.incident = Incident(key, "full on cache", CACHE.id, (CACHE.id,), now())
        self._severity = severity

    async def opened(self) -> "Story":
        fires = alert(CACHE, at=now(), incident=self.incident.id, id=f"alr-{self.incident.id}", severity=self._severity)
        await self.store.save(fires)
        return await self.tell("incident.opened", "full on cache: It is full.")

    async def tell(self, kind: str, text: str = "", *, subject: str = "", **more: Any) -> "Story":
        key = self.incident.id
        event = Event(kind, subject or key, text or kind, now(), incident=key, resource=CACHE.id, **more)
        await self.store.save(self.incident, event)
        return self

    async def closed(self) -> "Story":
        self.incident = self.incident.close("healed", now())
        return await self.tell("incident.closed", "healed: it is well")

    async def reopened(self) -> "Story":
        self.incident = self.incident.reopen(now())
        return await self.tell("incident.reopened", "full fires on cache")


@pytest.fixture
def story(kept: Store) -> Callable[..., Story]:
    return lambda key="inc-1", severity="critical": Story(kept, key, severity)
