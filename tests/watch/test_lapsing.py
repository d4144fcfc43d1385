"""What a start takes back is said before it is agreed to, and only where it is known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.domain.making import plan, resource, step
from watchkeeper.connectors import Registry
from watchkeeper.connectors.redis import connector
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.decide import Decide
from watchkeeper.domain import Event, NotFound, now
from watchkeeper.domain.change import Fingerprint
from watchkeeper.hosts import ContainerHost
from watchkeeper.lapsing import foretold, set_since_its_start
from watchkeeper.store import Store
from watchkeeper.watch import Watch
from watchkeeper.watch.changes import OTHERS, RESTART

MIB = 1 << 20
BOX = resource("box", kind="container", provider="docker")
CACHE = resource("cache", runs_on=BOX.id)
BEGAN = now() - timedelta(hours=2)


class Ended(ContainerHost):
    """A container that does not run: what it was made with, and a file in it."""

    def __init__(self, command: str, text: str | None = None) -> None:
        self._command, self._text = command, text

    async def processes(self) -> Sequence[str]:
        return [self._command]

    async def read_file(self, path: str) -> bytes:
        if self._text is None:
            raise NotFound(f"{path} is not there.")
        return self._text.encode()


async def begins(host: Any, **live: str) -> dict[str, tuple[str, str | None, str]]:
    told = await connector.starting_with(RedisSession(CACHE, host), live)
    return {one.setting: (one.live, one.declared, one.where) for one in told}


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        ("redis-server --maxmemory 20mb --maxmemory 40mb", None, ("40 MiB", "its command line")),
        ("docker-entrypoint.sh redis-server /c.conf", "maxmemory 1gb\nMaxMemory 20mb # ours\n", ("20 MiB", "/c.conf")),
        ("docker-entrypoint.sh redis-server", None, ("without limit", "no file")),
        ("valkey-server /c.conf --maxmemory 20mb", "include /more.conf\n", ("20 MiB", "its command line")),
        ("redis-server /c.conf", "include /more.conf\nmaxmemory 20mb\n", None),
        ("redis-server /c.conf", None, None),
        ("sh -c 'exec redis-server --maxmemory $MOST'", None, None),
        ("/opt/run.sh", None, None),
    ],
)
async def test_what_it_starts_with_is_told_only_where_all_of_that_can_be_read(
    command: str, text: str | None, expected: tuple[str, str] | None
) -> None:
    told = await begins(Ended(command, text), maxmemory=str(80 * MIB))
    assert told == ({} if expected is None else {"maxmemory": ("80 MiB", *expected)})


async def test_what_is_started_again_as_it_was_loses_nothing() -> None:
    assert await begins(None, maxmemory="1") == {}


def change(minutes: float, before: int, after: int, *, fix: str = "", by: str = OTHERS) -> Event:
    changes: list[object] = [{"setting": "maxmemory", "before": str(before * MIB), "after": str(after * MIB)}]
    data: dict[str, object] = {"changes": changes, "fix": fix or None}
    return Event("change.config", CACHE.id, "", at(minutes), by=by, resource=CACHE.id, data=data)


def start(minutes: float) -> Event:
    return Event("change.restart", BOX.id, "", at(minutes), by=OTHERS, resource=BOX.id)


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([change(5, 20, 80)], True),
        ([start(1), change(5, 20, 80)], True),
        ([start(1), change(1.1, 80, 20), change(1.2, 20, 80)], True),  # the first came with the start
        ([start(1), change(1.1, 20, 80)], False),  # and so may this one
        ([change(1, 20, 80), start(5)], False),  # it has ended with that start already
        ([change(1, 20, 80), change(5, 80, 60)], False),  # and then to something else, which was not seen
        ([change(5, 20, 80, by=RESTART)], False),
        ([], False),
    ],
    ids=["by others", "after a start", "again after it", "with it", "before it", "not so now", "taken back", "never"],
)
async def test_only_what_was_seen_to_be_set_since_the_last_start_is_said_to_end_with_the_next(
    tmp_path: Path, events: list[Event], told: bool
) -> None:
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        await store.emit(*events)
        kept = await store.happened(("change.config", "change.restart"), since=BEGAN - timedelta(days=1))
    assert (set_since_its_start("maxmemory", str(80 * MIB), CACHE, kept) is not None) is told


@pytest.mark.parametrize(
    ("live", "incarnation", "told"),
    [(80, "first", True), (20, "first", False), (80, "another", False)],
    ids=["set while it ran", "as declared", "made anew"],
)
async def test_the_step_that_starts_it_says_what_ends_and_who_had_set_it(
    tmp_path: Path, live: int, incarnation: str, told: bool
) -> None:
    session = RedisSession(CACHE, Ended("redis-server --maxmemory 20mb"))

    async def call(key: str, what: str, work: Any, seconds: float) -> Any:
        return await work(session)

    watch = SimpleNamespace(
        fleet=SimpleNamespace(resources={one.id: one for one in (BOX, CACHE)}),
        watchers={CACHE.id: SimpleNamespace(connector=connector, resource=CACHE)},
        call=call,
    )
    tools = Registry.installed().tools
    decide = SimpleNamespace(tool=tools.__getitem__, tools_of=lambda one: [tools[s.tool] for s in one.steps])
    begun = plan(step("docker_start", BOX))
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        await store.save(Fingerprint(CACHE.id, incarnation, {"maxmemory": str(live * MIB)}, now()))
        await store.emit(change(5, 20, live, fix="fix-1"))
        said = await foretold(begun, store, cast(Watch, watch), cast(Decide, decide))
    ends = (
        "What was set while it ran and is in no file does not come back: maxmemory of cache will be 20 MiB "
        "(its command line), and was 80 MiB (set by fix-1)."
    )
    assert said.steps[0].why == f"{begun.steps[0].why} {ends if told else ''}".strip()
