"""What cannot be seen any more is told to people, once; nothing else would notice."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.domain.making import CACHE, reading, resource
from watchkeeper.domain import Health, Resource
from watchkeeper.watch import unseen as module
from watchkeeper.watch.unseen import Unseen

SHOP = resource("shop", may_act=False)
BLIND = replace(reading(), error="It does not accept the password.")


class Scene:
    """Watchers whose health is set by hand, and what was told."""

    def __init__(self) -> None:
        self.watchers: dict[str, Any] = {}
        self.told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.unseen = Unseen(self.watchers, lambda kind, _, text: self.told.put_nowait((kind, text)))

    def turns(self, of: Resource, to: Health, *, quarantined: bool = False, off: bool = False) -> None:
        before = self.watchers[of.id].health if of.id in self.watchers else None
        last = replace(BLIND, off=off) if to is Health.UNKNOWN else reading()
        said = SimpleNamespace(quarantined=quarantined)
        state = last.error or "well"
        self.watchers[of.id] = SimpleNamespace(resource=of, last=last, health=to, state=state, conduct=said)
        self.unseen.turned(of, before, to, state)

    async def heard(self) -> tuple[str, str]:
        async with asyncio.timeout(5):
            return await self.told.get()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(module, "AFTER", 0.05)
    return Scene()


async def test_what_gives_no_data_is_told_once_and_that_it_is_seen_again(scene: Scene) -> None:
    scene.turns(SHOP, Health.HEALTHY)
    scene.turns(SHOP, Health.UNKNOWN)
    scene.turns(CACHE, Health.UNKNOWN)  # never seen, but it may be acted on
    kind, text = await scene.heard()
    assert kind == "watch.blind"
    assert text.startswith("No data of 2 for a minute or longer")
    assert "cache: It does not accept the password." in text
    scene.turns(SHOP, Health.HEALTHY)
    assert scene.told.empty()
    scene.turns(CACHE, Health.HEALTHY)
    assert (await scene.heard())[0] == "watch.sees"


@pytest.mark.parametrize("how", ["never named", "off", "quarantined", "through a source", "again in time", "gone"])
async def test_what_is_told_otherwise_or_is_no_matter_is_not(scene: Scene, how: str) -> None:
    of = SHOP if how == "never named" else CACHE
    if how == "through a source":
        of = replace(of, settings={"source": {"source": "prom"}})
    scene.turns(of, Health.UNKNOWN, off=how == "off", quarantined=how == "quarantined")
    if how == "again in time":
        scene.turns(of, Health.HEALTHY)
    if how == "gone":
        scene.watchers.clear()
    other = resource("other")
    scene.turns(other, Health.UNKNOWN)  # the one after it shows that the time has passed
    _, text = await scene.heard()
    assert text.startswith("No data for a minute")
    assert "other: " in text
    assert scene.told.empty()


async def test_what_has_given_no_data_for_a_moment_only_is_not_told_with_what_has_for_long(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AFTER", 0.5)
    scene.turns(CACHE, Health.UNKNOWN)
    await asyncio.sleep(0.4)  # until the time of the one has nearly passed
    scene.turns(resource("other"), Health.UNKNOWN)
    first, second = await scene.heard(), await scene.heard()
    assert "other: " not in first[1]
    assert "other: " in second[1]


async def test_of_many_the_number_is_said(scene: Scene) -> None:
    for number in range(9):
        scene.turns(resource(f"db-{number}"), Health.UNKNOWN)
    _, text = await scene.heard()
    assert "No data of 9 " in text
    assert text.endswith("; and 4 more")
