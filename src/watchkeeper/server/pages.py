"""Reports as HTML pages: which format is wanted, and what a page on an incident needs out of the store."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from fastapi.responses import HTMLResponse

from watchkeeper.domain import Alert, Approval, Event, Fix, Incident, LogLine, now
from watchkeeper.domain.trace import Trace, trace_id
from watchkeeper.notify.html import Seen, Story, incident_html, period_html
from watchkeeper.notify.html.curves import looked_at, marks, span
from watchkeeper.notify.html.page import POLICY
from watchkeeper.notify.morning import Blind, Morning
from watchkeeper.server.runtime import Runtime
from watchkeeper.store import StoreAway
from watchkeeper.store.curve import curve

Form = Literal["md", "json", "html"]
Wanted = Annotated[Form | None, Query(description="else by the Accept header: `text/html` gives HTML; else Markdown")]
Accepts = Annotated[str, Header(alias="Accept", include_in_schema=False)]
LOGS = 100
"""The newest log lines of the resources of an incident."""


def form(wanted: Form | None, accept: str) -> Form:
    """What is asked for by name, else what a browser asks for.

    >>> form(None, "text/html,application/xhtml+xml"), form("json", "text/html"), form(None, "*/*")
    ('html', 'json', 'md')
    """
    return wanted or ("html" if "text/html" in accept.lower() else "md")


def html(text: str) -> HTMLResponse:
    """A page that may do nothing but be read."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return HTMLResponse(text, headers=headers | {"Vary": "Accept"})


async def incident_page(
    runtime: Runtime,
    incident: Incident,
    alerts: Sequence[Alert],
    fixes: Sequence[Fix],
    events: Sequence[Event],
    changes: Sequence[Event],
) -> str:
    """The page on an incident."""
    with suppress(StoreAway):
        await runtime.watch.keeping.write()  # what was read a moment ago waits for its batch
    store, hidden = runtime.store, runtime.store.masker.value
    known: dict[str, Any] = {
        "incident": incident,
        "at": now(),
        "alerts": sorted(alerts, key=lambda alert: alert.pending_at),
        "fixes": sorted(fixes, key=lambda fix: fix.started_at),
        "approvals": (await store.select(Approval, incident=incident.id))[::-1],
        "events": events,
        "changes": changes,
    }
    known = {name: hidden(value) if name != "at" else value for name, value in known.items()}
    rules = {rule.id: rule for rule in runtime.watch.rules}
    names = {key: resource.slug for key, resource in runtime.watch.fleet.resources.items()}
    bare = Story(**known, rules=rules, names=names)
    begin, end = span(bare)
    moments = [mark.at for mark in marks(bare)]
    seen: dict[str, Seen] = {}
    for resource in dict.fromkeys(resource for resource, _ in looked_at(bare)):
        seen[resource] = await _seen(runtime, incident, resource, (begin, end), moments)
    lines: list[LogLine] = []
    for resource in incident.resources:
        lines += [line for line in await store.logs(resource, since=begin, limit=LOGS) if line.at <= end]
    logs = sorted(lines, key=lambda line: line.at)[-LOGS:]
    return incident_html(Story(**known, rules=rules, names=names, seen=seen, logs=hidden(logs)))


async def _seen(
    runtime: Runtime, incident: Incident, resource: str, span: tuple[datetime, datetime], moments: Sequence[datetime]
) -> Seen:
    """What was read of a resource, and what was kept of it where that is forgotten."""
    begin, end = span
    trace = await runtime.store.find(Trace, trace_id(incident.id, resource))
    since = max(begin, trace.until) if trace else begin
    readings, of = await curve(runtime.store, resource, since, end + timedelta(milliseconds=1), moments)
    kept = [one for one in trace.readings if begin <= one.at <= end] if trace else []
    more = trace.of - len(trace.readings) if trace else 0
    return Seen(runtime.store.masker.value([*kept, *readings]), of + len(kept) + more)


def period_page(runtime: Runtime, morning: Morning) -> str:
    """The page on a period, with every secret masked."""
    hidden = runtime.store.masker
    lists = {
        part.name: hidden.value(list(getattr(morning, part.name)))
        for part in fields(Morning)
        if part.name in ("incidents", "fixes", "alerts", "proposals", "waiting", "changes", "drift")
    }
    blind = [Blind(one.resource, hidden.text(one.why)) for one in morning.blind]
    return period_html(replace(morning, **lists, blind=blind))
