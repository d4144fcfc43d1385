"""Reports as pages, over HTTP: who gets one, what it may do in a browser, and what it never shows."""

from dataclasses import replace
from datetime import timedelta

import httpx

from tests.notify.html_parsing import every, parse, runs_or_fetches, text_of
from tests.server.conftest import Thing
from watchkeeper.domain import Alert, Health, LogLine, Reading, now
from watchkeeper.server import Runtime
from watchkeeper.server.reports import as_long_as_seen
from watchkeeper.watch.traces import keep_traces

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def test_a_browser_gets_a_page_that_may_do_nothing(viewer: httpx.AsyncClient) -> None:
    for asked in ({"headers": {"Accept": BROWSER}}, {"params": {"format": "html"}}):
        answer = await viewer.get("/api/report", **asked)

        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert runs_or_fetches(parse(answer.text)) == []


async def test_what_is_not_watched_any_more_was_unwell_until_it_was_seen_last(runtime: Runtime) -> None:
    began = now() - timedelta(hours=2)
    seen, gone = began + timedelta(minutes=1), "local/lab/pgbouncer/theirs"
    async with runtime.store.transaction() as transaction:
        await transaction.keep_readings([Reading(gone, seen, 0.1, {"up": 0.0})])
    theirs = Alert("al-theirs", "pgbouncer-down", gone, "critical", Health.FAILED, "firing", began)
    unseen = replace(theirs, id="al-unseen", resource="local/lab/pgbouncer/unseen")
    ended = [one.resolved_at for one in await as_long_as_seen(runtime, [theirs, unseen])]
    assert ended == [seen, began]


async def test_what_is_asked_for_by_name_counts_more_than_what_a_browser_asks_for(viewer: httpx.AsyncClient) -> None:
    answer = await viewer.get("/api/report", params={"format": "json"}, headers={"Accept": BROWSER})
    assert answer.headers["content-type"] == "application/json"


async def test_an_incident_is_a_page_without_secrets_that_were_learnt_later(
    thing: Thing, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(0.95)
    incident = (await thing.approval())["incident"]
    secret = f"hunter-of-{thing.slug}"
    async with runtime.store.transaction() as transaction:
        await transaction.keep_logs([LogLine(now(), "ERROR", f"AUTH {secret} <script>x</script>", thing.id)])
    clear = await page(viewer, incident)
    runtime.store.masker.learn(secret)
    masked = await page(viewer, incident)
    thing.put(0.1)
    await thing.event("incident.closed")

    assert "a plan waits for approval" in text_of(every(parse(masked), "h1")[0])
    assert f"AUTH {secret} <script>x</script>" in text_of(parse(clear))
    assert "AUTH ••• <script>x</script>" in text_of(parse(masked))
    assert secret not in masked
    assert runs_or_fetches(parse(masked)) == []


async def test_its_chart_outlives_the_readings(thing: Thing, viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    thing.put(0.95)
    incident = (await thing.approval())["incident"]
    thing.put(0.1)
    await thing.event("incident.closed")
    await runtime.watch.keeping.write()
    drawn = chart(await page(viewer, incident))
    await keep_traces(runtime.store, runtime.watch.rules, until := now())
    await runtime.store.prune(readings_before=until, logs_before=until - timedelta(days=9))

    assert "alert: > 0.9" in drawn
    assert "highest 0.95" in drawn
    assert "highest 0.95" in chart(await page(viewer, incident))


def chart(text: str) -> str:
    return text_of(next(svg for svg in every(parse(text), "svg") if svg.attrib["class"] == "wide"))


async def page(viewer: httpx.AsyncClient, incident: str) -> str:
    answer = await viewer.get(f"/api/incidents/{incident}/report", params={"format": "html"})
    assert answer.status_code == 200
    return answer.text
