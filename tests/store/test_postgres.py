"""What only a database for several executors must promise."""

import asyncio
import math
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from tests.conftest import free_port
from tests.domain.making import CACHE, T0, after, incident, reading
from tests.postgres import LOCKED, Postgres
from watchkeeper.domain import ConfigurationError, Event, Incident, LogLine
from watchkeeper.store import Store, StoreAway, inspect_store

PATIENCE = 30.0
"""Seconds after which something awaited is taken not to come."""


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


def event(text: str) -> Event:
    return Event("told", "it", text, T0)


async def test_whoever_follows_hears_what_another_process_commits(url: str, store: Store) -> None:
    async with Store.open(url) as other:
        feed = store.follow(heartbeat=PATIENCE)
        coming = asyncio.ensure_future(anext(feed))
        await other.emit(event("from elsewhere"))
        heard = await asyncio.wait_for(coming, PATIENCE)
    assert heard is not None
    assert heard.text == "from elsewhere"


async def test_no_event_becomes_visible_after_one_with_a_greater_number(url: str, store: Store) -> None:
    """Of two that write at once, one has to wait: else a follower would step over the slower one."""
    async with Store.open(url) as other:
        async with store.transaction() as slow:
            await slow.emit(event("first"))
            quick = asyncio.ensure_future(other.emit(event("second")))
            assert await store.events() == []
        await quick
        assert [known.text for known in await other.events()] == ["first", "second"]


async def test_many_writers_in_two_processes_lose_no_event_and_no_follower_steps_over_one(
    url: str, store: Store
) -> None:
    heard: list[int] = []

    async def follow() -> None:
        async for known in store.follow(heartbeat=PATIENCE):
            if known is not None:
                heard.append(known.seq)
            if len(heard) == 60:
                return

    async with Store.open(url) as other:
        follower = asyncio.create_task(follow())
        await asyncio.gather(*(writer.emit(event(str(n))) for n in range(30) for writer in (store, other)))
        await asyncio.wait_for(follower, PATIENCE)
    assert heard == sorted(heard)
    assert len(set(heard)) == 60


async def test_a_writer_that_stands_still_is_put_out_and_the_others_go_on(url: str, store: Store) -> None:
    async def stand_still(stopped: Store) -> None:
        async with stopped.transaction() as transaction:
            await transaction.put(incident())
            await asyncio.wait_for(store.patiently().save(incident(title="by another")), PATIENCE)

    async with Store.open(url) as stopped:
        with pytest.raises(StoreAway):
            await stand_still(stopped)
        found = await store.get(Incident, incident().id)
        assert found.title == "by another"


async def test_numbers_that_are_none_and_texts_no_database_takes_are_kept(store: Store) -> None:
    strange = replace(reading(at=after(0)), metrics={"a": math.nan, "b": math.inf, "c": 1e300})
    async with store.transaction() as transaction:
        await transaction.keep_readings([strange])
        await transaction.keep_logs([LogLine(T0, "ERROR", "zero \x00 half \ud800", CACHE.id)])
    (found,) = await store.readings(CACHE.id, since=T0, until=after(1))
    assert math.isnan(found.metrics["a"])
    assert found.metrics["b"] == math.inf
    assert [line.text for line in await store.logs(CACHE.id)] == ["zero � half ?"]


async def test_a_restart_of_the_database_is_survived(postgres: Postgres, url: str) -> None:
    async with Store.open(url) as store:
        await store.save(incident(), event("before"))
        await asyncio.to_thread(postgres.stop, "fast")
        writing = asyncio.ensure_future(store.patiently().save(incident(title="meanwhile"), event("meanwhile")))
        with pytest.raises(StoreAway, match="cannot be reached"):
            await store.get(Incident, incident().id)
        await asyncio.to_thread(postgres.start)
        await asyncio.wait_for(writing, PATIENCE)
        assert (await store.patiently().get(Incident, incident().id)).title == "meanwhile"
        assert [known.text for known in await store.events()] == ["before", "meanwhile"]


async def test_a_feed_goes_on_when_the_connections_were_cut(postgres: Postgres, url: str, store: Store) -> None:
    feed = store.patiently().follow(heartbeat=PATIENCE)
    coming = asyncio.ensure_future(anext(feed))
    await asyncio.sleep(0)
    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watchkeeper'")
    async with Store.open(url) as other:
        await other.emit(event("after"))
        heard = await asyncio.wait_for(coming, PATIENCE)
    assert heard is not None
    assert heard.text == "after"


async def refusal(url: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as told:
        async with Store.open(url):
            pass
    return told.value


async def test_a_database_that_cannot_be_reached_is_said() -> None:
    said = await refusal(f"postgresql://ada@127.0.0.1:{free_port()}/watchkeeper")
    assert "cannot be reached" in said.what
    assert "`store`" in said.next_step


async def test_a_wrong_password_is_said_and_not_shown(postgres: Postgres, url: str) -> None:
    with suppress(psycopg.Error):
        postgres.run(f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'right'")
    said = await refusal(url.replace("watchkeeper@", f"{LOCKED}:wrong-one@"))
    assert "does not let locked in" in said.what
    assert "wrong-one" not in str(said)


async def test_a_database_that_is_not_there_is_said_with_how_to_make_it(postgres: Postgres) -> None:
    said = await refusal(postgres.url("nowhere"))
    assert "has no database nowhere" in said.what
    assert said.next_step == "Make it: createdb --owner watchkeeper nowhere"


async def test_a_role_that_may_make_no_tables_is_told_what_it_needs(postgres: Postgres, url: str) -> None:
    with suppress(psycopg.Error):
        postgres.run("CREATE ROLE guest LOGIN")
    guest = url.replace("watchkeeper@", "guest@")
    said = await refusal(guest)
    assert "may not make tables" in said.what
    assert "OWNER TO guest" in said.next_step
    with pytest.raises(ConfigurationError, match="may not make tables"):
        await inspect_store(guest)


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
async def test_a_store_made_by_a_newer_program_is_left_alone(
    kind: str, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("newer")
    url = postgres.database() if kind == "postgresql" else f"sqlite+aiosqlite:///{folder / 'w.db'}"
    async with Store.open(url) as store, store.transaction() as transaction:
        await transaction.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    said = await refusal(url)
    assert "newer Watchkeeper" in said.what
    assert "9999" in said.what


async def test_two_that_begin_at_once_make_the_tables_once(url: str) -> None:
    async def begin() -> None:
        async with Store.open(url) as store:
            await store.emit(event("here"))

    await asyncio.gather(*(begin() for _ in range(4)))
    async with Store.open(url) as store:
        assert len(await store.events()) == 4


async def test_what_there_is_at_a_url_can_be_asked_without_changing_it(url: str) -> None:
    assert "empty" in await inspect_store(url)
    async with Store.open(url):
        pass
    assert "schema 0" in await inspect_store(url)
