"""Whom a PgBouncer refuses at login, by its log: a real one's, and lines as real ones wrote them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count

import psycopg
import pytest
from pgbouncer_fixtures import Come, Pooler, PoolerHost, named

from watchkeeper.connectors.listening import PER_SECOND, listen
from watchkeeper.connectors.pgbouncer import admissions, connector
from watchkeeper.connectors.pgbouncer.admissions import EXCUSED_SECONDS, FEW, QUIET_SECONDS, Admissions
from watchkeeper.domain import Reading, Resource, now

ALL, SOME = "pgbouncer-clients-refused", "pgbouncer-some-clients-refused"
_ports = count(40_000)
Until = Callable[[Callable[[Reading], bool]], Awaitable[Reading]]


def firing(metrics: dict[str, float]) -> set[str]:
    sample = connector.sample
    reading = Reading(sample.resource, sample.at, 0.0, metrics={**sample.metrics, **metrics}, facts=sample.facts)
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


class Log:
    """What a pooler writes, at times of our own."""

    def __init__(self, ours: str = "keeper") -> None:
        self.at = 100.0
        self.known = Admissions(ours, began=self.at)

    def says(self, text: str) -> None:
        self.known.line(self.at, now(), f"2026-11-23 20:48:38.373 UTC [9391] {text}")

    def comes(self, user: str = "shop", database: str = "shop") -> tuple[str, int, str]:
        """Its mark in the log, its port, and its address in the pooler."""
        port = next(_ports)
        mark = f"C-0x{port:x}: {database}/{user}@10.0.0.9:{port}"
        self.says(f"LOG {mark} login attempt: db={database} user={user} tls=no")
        return mark, port, f"0x{port:x}"

    def refused(self, user: str = "shop", database: str = "shop", *, why: str = "", every: float = 2.0) -> None:
        mark, *_ = self.comes(user, database)
        if not why:
            self.says(f"ERROR {mark} password authentication failed")
        self.says(f"LOG {mark} closing because: {why or 'SASL authentication failed'} (age=0s)")
        self.says(f"WARNING {mark} pooler error: {why or 'SASL authentication failed'}")
        self.at += every

    def visited(self, user: str = "shop", database: str = "shop") -> None:
        """One was let in and has gone."""
        mark, *_ = self.comes(user, database)
        self.says(f"LOG {mark} closing because: client close request (age=0s)")

    def told(self, *, active: bool = False, silence: float | None = QUIET_SECONDS) -> tuple[set[str], str]:
        metrics, facts = self.known.told(self.at, active=active, silence=silence)
        return firing(metrics) if metrics else set(), facts["refused_client"]


@contextmanager
def hammering(pooler: Pooler, user: str, database: str = "shop") -> Iterator[asyncio.Task[None]]:
    """An application that tries again and again to get in."""

    async def tries() -> None:
        while True:
            with suppress(psycopg.OperationalError):
                await (await psycopg.AsyncConnection.connect(pooler.url(database, user))).close()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(tries())
    try:
        yield task
    finally:
        task.cancel()


@asynccontextmanager
async def looks(host: PoolerHost, resource: Resource) -> AsyncIterator[Until]:
    """Looks until something holds of what is told of who is refused."""
    async with connector.connect(resource, host) as session:  # type: ignore[arg-type]

        async def until(holds: Callable[[Reading], bool]) -> Reading:
            last = None
            async with asyncio.timeout(60):
                while True:
                    last = await connector.read(session, last)
                    if last.ok and "clients_refused" in last.metrics and holds(last):
                        return last
                    await asyncio.sleep(0.05)

        yield until


async def test_who_is_refused_is_told_until_somebody_of_the_same_user_is_let_in(
    pooler: Pooler, pooler_host: PoolerHost, come: Come, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.connectors.pgbouncer.read._ADMITTED_EVERY", 0.1)
    async with looks(pooler_host, named(pooler, monkeypatch)) as until:
        assert (await until(lambda r: True)).metrics["clients_refused"] == 0.0
        with hammering(pooler, "shop:stale"), hammering(pooler, "keeper:wrong", "pgbouncer"):
            reading = await until(
                lambda r: r.metrics["clients_refused"] >= FEW and r.metrics["nobody_served_seconds"] > 0
            )
        assert reading.facts["refused_client"].startswith("shop as shop was refused ")
        assert reading.facts["refused_client"].endswith(": password authentication failed (last from 127.0.0.1)")
        assert "refuses clients at login" in (reading.state or "")
        with hammering(pooler, "nobody:x"):
            reading = await until(lambda r: "as nobody" in r.facts["refused_client"])
        assert "no such user: nobody" in reading.facts["refused_client"]
        with hammering(pooler, "shop:s", "nosuch"):
            reading = await until(lambda r: "no such database: nosuch" in r.facts["refused_client"])
        await come(1, "SELECT 1")  # stays: only SHOW CLIENTS tells of it
        reading = await until(lambda r: "shop as shop" not in r.facts["refused_client"])
        assert reading.metrics["nobody_served_seconds"] == 0.0  # the others are refused still


async def test_where_no_log_is_followed_nothing_is_concluded(pooler: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connector.connect(named(pooler, monkeypatch), None) as session:
        reading = await connector.read(session, None)
        assert "clients_refused" not in reading.metrics


def test_all_refused_is_critical_and_one_of_several_a_warning() -> None:
    log = Log()
    for _ in range(FEW - 1):
        log.refused()
    assert log.told() == (set(), "")  # somebody may have mistyped
    for _ in range(3):
        log.refused()
    assert log.told()[0] == {ALL}
    assert log.told(active=True)[0] == {SOME}
    said = log.told()[1]
    assert said.startswith(f"shop as shop was refused {FEW + 2} times in {2 * (FEW + 1)} s, since ")
    log.visited("other")
    assert log.told()[0] == {SOME}  # who comes seldom is served all the same
    for _ in range(FEW):
        log.refused("other", why="no such database: other")
    assert log.told()[0] == {ALL}
    assert log.told()[1].endswith(": no such database: other (last from 10.0.0.9); so is 1 more of user and database")


def test_it_is_over_when_one_is_let_in_or_nobody_comes_any_more() -> None:
    log = Log()
    for _ in range(9):
        log.refused()
    _, port, memory = log.comes()
    inside = {"ptr": memory, "port": port, "state": "active", "user": "shop", "database": "shop"}
    assert log.known.wants_to_know()
    log.known.seen([inside | {"port": port + 1}])  # another, whose memory it was
    assert log.told()[0] == {ALL}
    log.known.seen([inside])
    assert log.told(active=True) == (set(), "")
    for _ in range(9):
        log.refused()
    assert log.told() == (set(), "")  # two with different passwords come by turns
    log.says("LOG RELOAD command issued")
    assert log.told()[0] == {ALL}
    log.at += QUIET_SECONDS + 1
    log.says("LOG stats: 0 xacts/s, 0 queries/s")
    assert log.told() == (set(), "")


def test_by_turns_is_excused_only_as_long_as_one_is_let_in() -> None:
    log = Log()
    for _ in range(40):
        log.refused(every=1.0)
        log.visited()
        assert log.told() == (set(), "")
    while log.told()[0] == set():
        log.refused(every=1.0)
    assert log.at - 140.0 == pytest.approx(EXCUSED_SECONDS, abs=2.0)


def test_what_is_not_the_poolers_refusal_is_none() -> None:
    log = Log()
    for why in (
        'password authentication failed for user "shop"',  # so says the server behind it
        "server login has been failing, try again later (server_login_retry)",
        "no more connections allowed (max_client_conn)",
        'database "shop" is disabled',
        "client unexpected eof",
        "query_wait_timeout",
    ):
        for _ in range(9):
            log.refused(why=why)
    for _ in range(9):
        log.refused("keeper", "pgbouncer")  # ours
    assert log.told() == (set(), "")
    for _ in range(9):
        log.refused("exporter", "pgbouncer", why="not allowed")
    assert log.told()[0] == {SOME}  # of the console alone; nothing that is served comes there


def test_a_connection_from_before_that_takes_its_leave_was_not_let_in_meanwhile() -> None:
    log = Log()
    for _ in range(9):
        log.refused()
    log.says("LOG C-0x77: shop/shop@10.0.0.9:50001 closing because: client close request (age=3600s)")
    assert log.told()[0] == {ALL}
    log.says("LOG C-0x78: shop/shop@10.0.0.9:50002 closing because: client close request (age=3s)")
    assert log.told() == (set(), "")


def test_older_and_newer_settings_and_places_are_read_all_the_same() -> None:
    log = Log()
    for _ in range(9):  # log_connections = 0, log_disconnections = 0
        log.known.line(log.at, now(), "C-0x5: (nodb)/shop@unix(77):6432 pooler error: SASL authentication failed")
        log.at += 1
    assert "a database that was not told as shop" in log.told()[1]
    log = Log()
    for _ in range(9):
        log.says("LOG C-0x5: (nodb)/(nouser)@[::1]:5000 login failed: db=shop user=b\x07d")
        log.says("LOG C-0x5: (nodb)/(nouser)@[::1]:5000 closing because: No such user: bd (age=0)")
        log.at += 1
    assert log.told()[1].startswith("shop as b?d was refused 9 times")
    log = Log()
    for _ in range(9):  # the value of a parameter may be a secret
        log.says("WARNING C-0x5: (nodb)/(nouser)@10.0.0.9:7 unsupported startup parameter: token=geheim")
        log.says("LOG C-0x5: (nodb)/(nouser)@10.0.0.9:7 closing because: unsupported startup parameter: token (age=0s)")
        log.at += 1
    assert "unsupported startup parameter: token (last" in log.told()[1]


def test_a_log_that_is_silent_longer_than_it_should_tells_nothing() -> None:
    log = Log()
    assert log.known.told(log.at, active=True, silence=None) == ({}, {"refused_client": ""})  # never heard
    for _ in range(9):
        log.refused()
    log.at += 95.0
    assert log.known.told(log.at, active=False, silence=90.0)[0] == {}
    assert log.told(silence=None)[0] == {ALL}


async def test_of_a_flood_so_much_is_read_and_the_rest_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr("watchkeeper.connectors.listening._AGAIN_SECONDS", 60.0)
    text = "2026 UTC [1] LOG C-0x{0:x}: (nodb)/shop@10.0.0.9:{0} closing because: no such user: shop (age=0s)"
    ended = asyncio.Event()

    async def lines() -> AsyncIterator[str]:
        for port in range(3 * PER_SECOND):
            yield text.format(port)
        ended.set()

    def passed() -> None:
        log.known.passed += 1

    def take(at: float, line: str) -> None:
        log.known.line(at, now(), line)

    task = asyncio.create_task(listen(lines, take, passed))
    await ended.wait()
    task.cancel()
    log.at = asyncio.get_running_loop().time() + 6
    assert log.known.passed > 0
    assert "refused at least 1,000 times in 0 s" in log.told()[1]
    assert len(log.known._bouts) == 1
    for number in range(3 * admissions._MOST):
        log.refused(f"user{number}", every=0.0)
    assert len(log.known._bouts) == admissions._MOST
