"""`/api/ingest/…`: alerts that others raise. `/api/outside-alerts`: those that were told."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

import structlog
from fastapi import APIRouter, Body, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from watchkeeper.domain import Condition, NotFound, WatchkeeperError, now, scope
from watchkeeper.domain.outside import Heard, OutsideAlert, OutsideStatus
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import Moment, Page, View
from watchkeeper.settings.ingest import IngestSettings

router = APIRouter(prefix="/api", tags=["ingest"])
log = structlog.get_logger(__name__)
MOST = 1000
"""Alerts taken from one request."""
LABELS = 64
LONGEST = 1000
"""Characters of a text that are kept."""
ALERTMANAGER = "alertmanager"
Text = Annotated[str, StringConstraints(max_length=100_000)]


class NothingRead(WatchkeeperError):
    """Not one alert of a request could be read."""

    status = 422


class AlertmanagerAlert(BaseModel):
    """One alert of Alertmanager's webhook, version 4 of its payload."""

    status: OutsideStatus
    labels: dict[str, Text]
    annotations: dict[str, Text] = Field(default_factory=dict[str, str])
    began: AwareDatetime = Field(alias="startsAt")
    ended: AwareDatetime | None = Field(default=None, alias="endsAt")
    url: Text = Field(default="", alias="generatorURL")
    fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AlertmanagerBody(BaseModel):
    """What is read of the payload; prometheus.io/docs/alerting/latest/configuration/#webhook_config."""

    model_config = ConfigDict(extra="allow")
    version: Literal["4"]
    alerts: list[Any]
    truncated: int = Field(default=0, alias="truncatedAlerts", ge=0)


class HeardView(View):
    """What became of a request's alerts: how many began, ended, were known already, and are about nothing that is
    watched here. `wrong` says which could not be read, and `left_out` how many were not looked at."""

    firing: int
    resolved: int
    repeated: int
    unmatched: int
    wrong: list[str]
    left_out: int = 0


@router.post("/ingest/alertmanager")
async def hear_alertmanager(body: AlertmanagerBody, runtime: Here, _: Operator) -> HeardView:
    """Take the webhook of Prometheus' Alertmanager. An alert alone starts nothing: its resource is looked at at once,
    and what our own rules see counts."""
    told, wrong = _read(body.alerts[:MOST], _of_alertmanager)
    left_out = body.truncated + max(0, len(body.alerts) - MOST)
    return _view(await _heard(runtime, told, wrong, len(body.alerts)), wrong, left_out, ALERTMANAGER)


@router.post("/ingest/{sender}")
async def hear_sender(sender: str, body: Annotated[Any, Body()], runtime: Here, _: Operator) -> HeardView:
    """Take alerts in another form of JSON, by the mapping of that name under `ingest`."""
    mapping = runtime.settings.ingest.get(sender)
    if mapping is None:
        known = ", ".join([ALERTMANAGER, *runtime.settings.ingest])
        raise NotFound(f"There is no mapping for {sender!r} (known: {known}).", "Write one under `ingest`.")
    entries = _value(mapping.alerts, body=body)
    if not isinstance(entries, list):
        raise NothingRead(f"{mapping.alerts!r} gives no list of alerts.", f"Mend `ingest: {sender}: alerts`.")
    every = cast("list[Any]", entries)
    told, wrong = _read(every[:MOST], lambda alert: _mapped(sender, mapping, body, alert))
    return _view(await _heard(runtime, told, wrong, len(every)), wrong, max(0, len(every) - MOST), sender)


@router.get("/outside-alerts")
async def list_outside_alerts(
    runtime: Here,
    _: Viewer,
    status: Literal["firing", "all"] = "firing",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Moment | None = None,
) -> Page[OutsideAlert]:
    """What others told, newest first; `firing`: what is taken to fire now. `before`: the `next` of the page before."""
    where = {"status": "firing"} if status == "firing" else {}
    found = await runtime.store.select(OutsideAlert, limit=limit, before=before, **where)
    at = now()
    shown = [one for one in found if status == "all" or one.fires(at)]
    return Page(items=shown, next=found[-1].began_at.isoformat() if len(found) == limit else None)


def _read(entries: list[Any], read: Callable[[Any], OutsideAlert]) -> tuple[list[OutsideAlert], list[str]]:
    """Those that can be read, and what is wrong with the others."""
    told, wrong = list[OutsideAlert](), list[str]()
    for number, entry in enumerate(entries):
        try:
            told.append(read(entry))
        except ValidationError as problem:
            first = problem.errors(include_url=False, include_input=False)[0]
            wrong.append(f"alerts[{number}].{'.'.join(map(str, first['loc']))}: {first['msg']}")
        except ValueError as problem:
            wrong.append(f"alerts[{number}]: {problem}")
    return told, wrong


async def _heard(runtime: Here, told: list[OutsideAlert], wrong: list[str], given: int) -> Heard:
    if given and not told:
        raise NothingRead(f"None of {given} alerts could be read: {wrong[0]}.", "See docs/alerts-in.md.")
    return await runtime.outside.hear(told)


def _view(heard: Heard, wrong: list[str], left_out: int, sender: str) -> HeardView:
    if wrong or left_out:
        log.warning("alerts from outside were left out", sender=sender, wrong=wrong[:5], left_out=left_out)
    return HeardView(
        firing=heard.firing,
        resolved=heard.resolved,
        repeated=heard.repeated,
        unmatched=heard.unmatched,
        wrong=wrong[:20],
        left_out=left_out,
    )


def _of_alertmanager(entry: Any) -> OutsideAlert:
    alert = AlertmanagerAlert.model_validate(entry)
    said = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    ended = alert.ended if alert.status == "resolved" and alert.ended and alert.ended.year > 1 else None
    return _alert(
        ALERTMANAGER,
        alert.fingerprint,
        fires=alert.status == "firing",
        name=alert.labels.get("alertname", "alert"),
        severity=alert.labels.get("severity", ""),
        summary=said,
        labels=alert.labels,
        url=alert.url,
        began=alert.began,
        ended=ended,
    )


def _mapped(sender: str, mapping: IngestSettings, body: Any, alert: Any) -> OutsideAlert:
    def text(field: str) -> str:
        value = _value(getattr(mapping, field), body=body, alert=alert)
        if value is None:
            raise ValueError(f"{field}: {getattr(mapping, field)!r} gives nothing")
        return str(value)

    fires = _value(mapping.fires, body=body, alert=alert)
    if not isinstance(fires, bool):
        raise ValueError(f"fires: {mapping.fires!r} gives {fires!r}, which is neither true nor false")
    given = _value(mapping.labels, body=body, alert=alert)
    if not isinstance(given, Mapping):
        raise ValueError(f"labels: {mapping.labels!r} gives no mapping")
    labels = {str(name): str(value) for name, value in cast("Mapping[Any, Any]", given).items()}
    name = text("name")
    told = json.dumps([name, text("resource"), labels], sort_keys=True)
    mark = text("fingerprint") or hashlib.sha256(told.encode()).hexdigest()[:16]
    more = {field: text(field) for field in ("severity", "summary", "url", "resource")}
    return _alert(sender, mark, fires=fires, name=name, labels=labels, began=now(), ended=None, **more)


def _value(expression: str, **given: Any) -> Any:
    return Condition(expression).value(scope(**given))


def _alert(
    sender: str,
    fingerprint: str,
    *,
    fires: bool,
    name: str,
    severity: str,
    summary: str,
    labels: Mapping[str, str],
    url: str,
    began: datetime,
    ended: datetime | None,
    resource: str = "",
) -> OutsideAlert:
    at = now()
    key = hashlib.sha256(f"{sender}\0{fingerprint}".encode()).hexdigest()[:16]
    return OutsideAlert(
        id=f"out-{key}",
        sender=sender,
        fingerprint=_short(fingerprint),
        name=_short(name),
        status="firing" if fires else "resolved",
        severity=_short(severity),
        summary=_short(summary),
        resource=resource,
        unmatched="",
        labels=dict(_shortened(labels)),
        began_at=min(began.astimezone(UTC), at),
        heard_at=at,
        ended_at=None if fires else min((ended or at).astimezone(UTC), at),
        url=_short(url),
    )


def _shortened(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(sorted(labels.items())):
        if number == LABELS:
            yield "…", f"{len(labels) - LABELS} more labels are left out"
            return
        yield _short(name), _short(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
