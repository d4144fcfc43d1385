"""Nobody who has just lowered a limit is overruled in silence: real Redis, mode auto."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
import redis

from tests.conftest import RedisServer, start_redis
from tests.crash.harness import Server, serving
from tests.domain.making import T0, incident, plan, resource, step
from watchkeeper.connectors import Registry
from watchkeeper.decide import Decide
from watchkeeper.domain import LOOP, Approval, Decision, Event, Plan, now
from watchkeeper.domain.tool import Limit
from watchkeeper.overruling import _by_others, _grown, heeding
from watchkeeper.store import Store

pytestmark = pytest.mark.crash
MIB = 1 << 20


@pytest.fixture
def full(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = start_redis(folder, "--maxmemory", "96mb")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def fill(server: RedisServer, number: int) -> None:
    with server.client() as client:
        for key in range(number):
            try:
                client.set(f"basket:{key}", "x" * 65536)
            except redis.ResponseError:  # full
                return


@pytest.fixture
def crowd(full: RedisServer) -> Iterator[list["redis.Redis"]]:
    """Clients that were there before anybody looked; asked for before `watching`."""
    with ExitStack() as stack:
        held = [stack.enter_context(full.client()) for _ in range(30)]
        for one in held:
            one.ping()
        yield held


@pytest.fixture
def watching(tmp_path: Path, full: RedisServer) -> Iterator[Server]:
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(
        "mode: auto\nonly: [cache]\n"
        f"resources: [{{name: cache, kind: redis, url: '{full.url}', environment: lab, act: true,\n"
        "              settings: {cache_keys: ['basket:*']}}]\n"
    )
    with serving(Server(tmp_path / "data", config)) as server:
        yield server


def put_ladder(server: Server, name: str, rung: str) -> None:
    """The delivered runbook with this rung alone."""
    book = next(one for one in server.get("/api/runbooks")["items"] if (one["kind"], one["name"]) == ("redis", name))
    text = re.sub(r"ladder:.*?^healed:", f"ladder:\n  - {rung}\nhealed:", book["text"], flags=re.MULTILINE | re.DOTALL)
    token = (server.data / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "If-Match": f'"{book["digest"]}"'}
    body = {"text": text, "kind": "redis", "note": "no more than that"}
    httpx.put(f"{server.url}/api/runbooks/{name}", json=body, headers=headers).raise_for_status()


def test_who_lowered_a_limit_is_asked_and_what_it_was_is_proposed(watching: Server, full: RedisServer) -> None:
    fill(full, 320)
    started = watching.until_kind("server.started")["seq"]
    watching.poll(lambda server: used(server) > 20 * MIB)
    with full.client() as client:
        client.config_set("maxmemory", 22 * MIB)
        watching.until_kind("approval.requested", "fix.started", "incident.escalated", after=started)
        (asked,) = watching.get("/api/approvals")["items"]
        assert asked["plan"]["steps"][-1]["arguments"] == {"value": 96 * MIB}, asked["plan"]["diagnosis"]
        assert "maxmemory 96 MiB → 22 MiB" in asked["plan"]["diagnosis"]["cause"]
        assert "may have meant it" in asked["decision"]["reason"]
        watching.post(f"/api/approvals/{asked['id']}/reject", {"note": "I meant it"})
        watching.until(lambda event: event["kind"] == "approval.requested", after=asked_at(watching))
        (again,) = watching.get("/api/approvals")["items"]  # no harsher step is done unasked, either
        assert again["plan"]["steps"][0]["tool"] == "redis_expire_cache_keys"
        assert client.config_get("maxmemory")["maxmemory"] == str(22 * MIB)
        assert client.dbsize() == 320


def used(server: Server) -> float:
    reading = server.get("/api/resources/cache")["reading"]
    return reading["metrics"].get("used_memory_bytes", 0.0) if reading else 0.0


def asked_at(server: Server) -> int:
    return server.until_kind("approval.rejected")["seq"]


def test_data_that_grew_up_to_a_limit_that_was_lowered_are_healed_as_ever(watching: Server, full: RedisServer) -> None:
    started = watching.until_kind("server.started")["seq"]
    with full.client() as client:
        client.config_set("maxmemory", 20 * MIB)
        watching.until_kind("change.config", after=started)
        fill(full, 300)
    closed = watching.until_kind("incident.closed", "approval.requested", after=started)
    assert closed["kind"] == "incident.closed", closed


def test_who_lowered_it_while_nobody_watched_is_asked_too(crowd: list["redis.Redis"], watching: Server) -> None:
    seen = watching.until_kind("server.started")["seq"]
    watching.poll(lambda server: used(server) > 0)
    watching.stop()
    former = int(crowd[0].config_get("maxclients")["maxclients"])
    crowd[0].config_set("maxclients", 32)
    watching.start()
    watching.until_kind("approval.requested", "fix.started", "incident.escalated", after=seen)
    (asked,) = watching.get("/api/approvals")["items"]
    (step,) = asked["plan"]["steps"]
    assert (step["tool"], step["arguments"]) == ("redis_set_maxclients", {"value": former})
    assert f"maxclients {former} → 32" in asked["plan"]["diagnosis"]["cause"]
    watching.post(f"/api/approvals/{asked['id']}/approve", {})
    closed = watching.until_kind("incident.closed", "incident.escalated", after=seen)
    assert closed["kind"] == "incident.closed", closed
    assert crowd[0].config_get("maxclients")["maxclients"] == str(former)
    assert all(one.ping() for one in crowd)  # nobody was thrown out


@pytest.mark.usefixtures("crowd")
def test_where_no_rung_can_help_what_it_was_is_proposed_all_the_same(full: RedisServer, watching: Server) -> None:
    seen = watching.until_kind("server.started")["seq"]
    put_ladder(watching, "clients-exhausted", "[{tool: redis_kill_clients, with: {address: '= facts.error'}}]")
    watching.poll(lambda server: used(server) > 0)
    with full.client() as client:
        former = int(client.config_get("maxclients")["maxclients"])
        client.config_set("maxclients", 32)
        watching.until_kind("approval.requested", "fix.started", "incident.escalated", after=seen)
        (asked,) = watching.get("/api/approvals")["items"]
        (step,) = asked["plan"]["steps"]
        assert (step["tool"], step["arguments"]) == ("redis_set_maxclients", {"value": former})
        watching.post(f"/api/approvals/{asked['id']}/reject", {"note": "they are too many"})
        ended = watching.until_kind("approval.requested", "fix.started", "incident.escalated", after=asked_at(watching))
        assert ended["kind"] == "incident.escalated", "it is not asked for twice"


@pytest.mark.parametrize(("restarted", "by"), [(True, "fix-1"), (False, "")])
async def test_what_a_restart_takes_back_of_a_fix_of_ours_nobody_has_lowered(
    tmp_path: Path, restarted: bool, by: str
) -> None:
    cache, limit, at = resource("cache"), Limit("maxmemory", "used_memory_bytes"), now() - timedelta(minutes=1)

    def change(before: int, after: int, seconds: float, fix: str | None) -> Event:
        said = [{"setting": "maxmemory", "before": str(before), "after": str(after)}]
        when = at + timedelta(seconds=seconds)
        return Event("change.config", cache.id, "", when, resource=cache.id, data={"changes": said, "fix": fix})

    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        restart = [Event("change.restart", cache.id, "", at + timedelta(seconds=29), resource=cache.id)] * restarted
        await store.emit(change(32, 128, 0.0, "fix-1"), *restart, change(128, 32, 30.0, None))
        found = await _by_others(cache.id, limit, store)
    assert found is not None
    assert (found.difference.before, found.difference.after, found.fix) == ("128", "32", by)


@pytest.mark.parametrize(
    ("changes", "value", "asked"),
    [
        ([(32, 128, "fix-1")], 128, False),  # as after a restart that took it back, before that is noticed
        ([(32, 128, "fix-1")], 512, True),
        ([(32, 64, "fix-1"), (64, 128, "fix-2")], 256, True),
        ([(32, 128, "fix-1"), (128, 256, None)], 512, False),  # somebody else has set it since: from there it counts
        ([], 512, False),
    ],
)
async def test_a_limit_that_fixes_have_raised_already_is_raised_no_further_unasked(
    tmp_path: Path, changes: list[tuple[int, int, str | None]], value: int, asked: bool
) -> None:
    cache, at = resource("cache"), now() - timedelta(hours=1)
    decide = cast("Decide", SimpleNamespace(tools=Registry.installed().tools))

    def told(number: int, before: int, after: int, fix: str | None) -> Event:
        said = [{"setting": "maxmemory", "before": str(before * MIB), "after": str(after * MIB)}]
        when = at + timedelta(minutes=number)
        return Event("change.config", cache.id, "", when, resource=cache.id, data={"changes": said, "fix": fix})

    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        await store.emit(*(told(number, *one) for number, one in enumerate(changes)))
        said = await _grown(plan(step("redis_set_maxmemory", cache, value=value * MIB)), store, decide)
    assert bool(said) is asked
    assert not asked or ("maxmemory was 32.0 MiB until" in said and "times that. Growth beyond 4 times" in said)


async def test_the_very_same_is_not_asked_for_twice_and_what_differs_says_so(tmp_path: Path) -> None:
    def asks(author: str, value: int) -> Plan:
        return replace(plan(step("redis_set_maxmemory", value=value)), author=author)

    first = asks("runbook:memory-full#as-it-was", 128)
    said = Approval(
        "apr-1", "inc-1", "fix-1", first, Decision("ask", "p", ""), "", LOOP, T0, T0, "rejected", "person:ada"
    )
    refused = replace(incident(), refused=(first.key,))
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        await store.save(said)
        same, why = await heeding(asks("runbook:memory-full#2", 128), refused, store)
        assert (why, same.confirm) == ("person:ada has rejected the same (runbook:memory-full#as-it-was)", "")
        other, why = await heeding(asks("runbook:memory-full#2", 160), refused, store)
        assert (why, other.confirm) == ("", "Not what person:ada has rejected: that was with value=128.")
        again, why = await heeding(asks("runbook:memory-full#2", 128), incident(), store)  # somebody has it tried again
        assert (why, again.confirm) == ("", "")
