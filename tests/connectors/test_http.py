"""Anything with a URL as a resource, against a real service in a process of its own."""

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from engine_fixtures import Run
from http_fixtures import Service, ServiceHost

from watchkeeper.connectors.http import connector
from watchkeeper.connectors.http import tools as hands
from watchkeeper.connectors.http.discovery import Discovery, question
from watchkeeper.connectors.http.document import parts
from watchkeeper.connectors.http.session import HttpSession
from watchkeeper.domain import ConfigurationError, Reading, Refused, Resource

Holds = Callable[[Reading], bool]


def firing(reading: Reading) -> set[str]:
    """The rules whose condition holds."""
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def until(session: HttpSession, holds: Holds) -> Reading:
    last: Reading | None = None
    for _ in range(600):
        last = await connector.read(session, last)
        if holds(last):
            return last
    raise AssertionError(last)


async def test_a_healthy_service_raises_nothing_and_tells_all_that_rules_name(web_session: HttpSession) -> None:
    reading = await connector.read(web_session, None)
    assert reading.error is None
    assert firing(reading) == set()
    seldom = {"usual_seconds", "certificate_days"}
    assert set(connector.sample.metrics) - set(reading.metrics) <= seldom
    assert set(reading.metrics) <= set(connector.sample.metrics)
    assert set(reading.facts) == set(connector.sample.facts)
    assert (await connector.probe(web_session)).ok is True


async def test_what_names_another_that_is_down_is_not_restarted(web: Service, web_session: HttpSession) -> None:
    body = {"status": "unavailable", "checks": {"cache": "ConnectionError: refused", "database": "ok"}}
    await web.tell("/ready", 503, body)
    reading = await connector.read(web_session, None)
    assert firing(reading) == {"http-dependency-down"}
    assert reading.facts["dependency"] == "cache"
    assert reading.state == "says that cache is down"
    assert "cache is down" in (hands.http_restart.refusal(reading, {}) or "")
    assert (await connector.probe(web_session)).ok is False


async def test_503_without_a_reason_is_not_ready_and_500_is_a_fault_of_its_own(
    web: Service, web_session: HttpSession
) -> None:
    await web.tell("/ready", 503, "busy")
    assert firing(await connector.read(web_session, None)) == {"http-not-ready"}
    await web.tell("/ready", 500, "Internal Server Error", kind="text/plain")
    reading = await connector.read(web_session, None)
    assert firing(reading) == {"http-errors"}
    assert reading.metrics["status"] == 500, "of the two that were asked, the one that is why"
    assert hands.http_restart.refusal(reading, {}) is None
    assert reading.metrics["consecutive_failures"] == 2


async def test_one_that_was_killed_is_down_and_answers_after_a_restart(
    web: Service, web_host: ServiceHost, web_session: HttpSession
) -> None:
    await connector.read(web_session, None)
    web.stop()
    reading = await connector.read(web_session, None)
    assert firing(reading) == {"http-down"}
    assert (await connector.probe(web_session)).ok is False
    told = await hands.http_restart.run(web_session)
    assert told == {"start_count": 2, "answered": "200"}
    assert firing(await connector.read(web_session, reading)) == set()
    web.stop()  # after its answer nobody waits for its start any more
    assert firing(await connector.read(web_session, None)) == {"http-down"}
    web_host.status, web_host.stopped_by = "exited", "on_purpose"
    stopped = await connector.read(web_session, None)
    assert (firing(stopped), stopped.off) == (set(), True)


async def test_what_starts_or_is_being_stopped_is_waited_for(
    web: Service, web_host: ServiceHost, web_session: HttpSession
) -> None:
    web.stop()
    web_host.started = datetime.now(UTC)
    reading = await connector.read(web_session, None)
    assert (firing(reading), reading.state) == (set(), "starting")
    assert "waited for" in (hands.http_restart.refusal(reading, {}) or "")
    web_host.started, web_host.stopping = datetime(2026, 1, 1, tzinfo=UTC), True
    assert firing(await connector.read(web_session, None)) == set()
    web_host.stopping = False
    assert firing(await connector.read(web_session, None)) == {"http-down"}


async def test_one_that_hangs_is_silent_until_it_goes_on(web: Service, web_session: HttpSession) -> None:
    await connector.read(web_session, None)
    assert web.process is not None
    web.process.send_signal(signal.SIGSTOP)
    try:
        await until(web_session, lambda r: r.metrics["unresponsive_seconds"] > 1.0)
        web_session.silent_since = asyncio.get_running_loop().time() - 60  # as if it had been so for a minute
        assert firing(await connector.read(web_session, None)) == {"http-unresponsive"}
    finally:
        web.process.send_signal(signal.SIGCONT)
    await until(web_session, lambda r: r.ok)


async def test_one_that_answers_after_its_look_has_gone_is_slow_and_does_not_hang(
    web: Service, web_host: ServiceHost
) -> None:
    settings = {"port": web.port, "health": "/health", "timeout": "200ms", "slow": "300ms"}
    resource = Resource("docker/lab/http/web", "web", ports=(web.port,), settings=settings)
    async with connector.connect(resource, web_host) as session:  # type: ignore[arg-type]
        await web.tell("/health", 200, {"status": "ok"}, delay=0.6)
        first = await connector.read(session, None)
        assert first.error == "no answer within 0.2 s"
        reading = await until(session, lambda r: r.ok)
        assert (reading.metrics["responding"], reading.metrics["unresponsive_seconds"]) == (1.0, 0.0)
        assert reading.metrics["answer_seconds"] >= 0.6
        assert firing(reading) == {"http-slow"}
        assert (await connector.probe(session)).ok is True
        await web.tell("/health", 500, "no")  # what it says late is no longer asked for
        assert "http-errors" in firing(await connector.read(session, reading))


async def test_one_that_takes_longer_than_it_may_is_slow(web: Service, web_host: ServiceHost) -> None:
    settings = {"port": web.port, "health": "/health", "slow": "100ms"}
    resource = Resource("docker/lab/http/web", "web", ports=(web.port,), settings=settings)
    async with connector.connect(resource, web_host) as session:  # type: ignore[arg-type]
        assert firing(await connector.read(session, None)) == set()
        await web.tell("/health", 200, {"status": "ok"}, delay=0.3)
        reading = await until(session, lambda r: "http-slow" in firing(r))
        assert reading.metrics["p95_seconds"] >= 0.3


async def test_an_answer_is_as_expected_or_says_how_it_is_not(web: Service, web_host: ServiceHost) -> None:
    await web.tell("/health", 200, {"status": "ok", "build": {"version": "1.4.2"}})
    for expect, said in (
        ({"json": {"build.version": "1.4.2", "status": "ok"}, "status": 200}, ""),
        ({"json": {"build.version": "1.5"}}, "build.version is '1.4.2', wanted '1.5'"),
        ({"contains": "nowhere"}, "does not contain 'nowhere'"),
        ({"status": [201, 204]}, "answered 200, wanted 201 or 204"),
    ):
        settings = {"port": web.port, "health": "/health", "expect": expect}
        resource = Resource("docker/lab/http/web", "web", ports=(web.port,), settings=settings)
        async with connector.connect(resource, web_host) as session:  # type: ignore[arg-type]
            reading = await connector.read(session, None)
        assert said in reading.facts["error"]
        assert firing(reading) == ({"http-errors"} if said else set())


async def test_a_path_is_fetched_and_nothing_else(web: Service, web_session: HttpSession) -> None:
    await web.tell("/orders", 404, "no such order", kind="text/plain")
    told = await hands.http_request.run(web_session, path="/orders")
    assert (told["status"], told["text"]) == (404, "no such order")
    with pytest.raises(Refused, match="begins with one /"):
        await hands.http_request.run(web_session, path="http://elsewhere/")
    assert all(line.startswith("GET ") for line in await web.asked())


async def test_what_is_named_is_found_and_bad_entries_are_refused(web: Service) -> None:
    entry = {"name": "Checkout", "kind": "http", "url": f"{web.url}/health", "environment": "staging", "act": True}
    (resource,) = [r async for r in Discovery().discover([], {"resources": [entry]})]
    assert (resource.id, resource.slug, resource.may_act) == ("local/staging/http/Checkout", "checkout", True)
    async with connector.connect(resource, None) as session:
        assert (await connector.read(session, None)).ok
    for wrong, said in (
        ({"url": "ftp://h/x"}, "no address of an HTTP service"),
        ({"url": "https://u:pw@h/x"}, "reference"),
        ({"url": "https://h:port/x"}, "not a number"),
        ({"settings": {"helth": "/x"}}, "did you mean `health`"),
        ({"settings": {"health": "x"}}, "begins with /"),
        ({"settings": {"expect": {"status": "fine"}}}, "no status of HTTP"),
        ({"settings": {"headers": {"Authorization": "Bearer x"}}}, "env:NAME"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            _ = [r async for r in Discovery().discover([], {"resources": [entry | wrong]})]


async def test_nobody_who_listens_is_told_apart_from_a_name_that_leads_nowhere() -> None:
    for url, failure in (("http://127.0.0.1:9/", "refused"), ("http://no-such-name.invalid/", "name")):
        resource = Resource("remote/production/http/x", "x", settings={"url": url})
        async with connector.connect(resource, None) as session:
            reading = await connector.read(session, None)
        assert reading.facts["error"] == failure
        assert firing(reading) == {"http-down"}


@pytest.mark.lab
async def test_a_container_is_found_by_its_labels_or_its_own_health_check_and_a_redis_is_not_asked(run: Run) -> None:
    loopback = "127.0.0.1"
    labelled = await run(
        *("sleep", "60"),
        options=["-l", "watchkeeper.http.ready=/ready", "-l", "watchkeeper.act=true", "--expose", "81"],
    )
    checked = await run("sleep", "60", options=["--health-cmd", f"curl -fs http://{loopback}:8080/up || exit 1"])
    refused = await run("sleep", "60", options=["-l", "watchkeeper.http=false", "-p", f"{loopback}::8000"])
    cache = await run("redis-server", "--protected-mode", "no", options=["-p", f"{loopback}::6379"])
    hosts = [labelled, checked, refused, cache]
    found = {r.incarnation: r async for r in Discovery().discover(hosts, {})}
    assert set(found) == {labelled.incarnation, checked.incarnation}
    one = found[labelled.incarnation]
    assert (one.ports, one.may_act, one.settings["ready"]) == ((81,), True, "/ready")
    assert one.runs_on == f"docker/production/container/{labelled.name}"
    other = found[checked.incarnation]
    assert (other.ports, other.settings["health"], other.may_act) == ((8080,), "/up", False)


async def test_a_port_is_asked_carefully(web: Service) -> None:
    assert await question(web.url) == {"health": "/health", "ready": "/ready"}
    await web.tell("*", 200, "<html>one page for everything</html>", kind="text/html")
    for path in ("/health", "/ready"):
        await web.tell(path, 200, "<html></html>", kind="text/html")
    assert await question(web.url) is None
    await web.tell("/ping", 200, "pong", kind="text/html")
    await web.tell("/status", 503, {"database": "down"})
    assert await question(web.url) == {"health": "/ping", "ready": "/status"}
    assert all(line.startswith("GET ") for line in await web.asked())


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"status": "pass", "checks": {"redis:connected": [{"status": "fail"}]}}, {"redis:connected": False}),
        ({"checks": [{"name": "db", "status": "UP"}, {"name": "mail", "status": "DOWN"}]}, {"db": True, "mail": False}),
        ({"status": "Unhealthy", "entries": {"sql": {"status": "Unhealthy"}}}, {"sql": False}),
        ({"details": {"redis": {"status": "down"}}}, {"redis": False}),
        ({"error": "ConnectionError: refused"}, {}),
        (["a", 1], {}),
        (None, {}),
    ],
)
def test_the_parts_of_a_health_document_are_understood(document: object, found: dict[str, bool]) -> None:
    assert parts(document) == found
