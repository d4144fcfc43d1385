"""What was stopped on purpose is named as the cause of what needs it and fails."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.domain.making import T0, after, alert, reading, resource
from watchkeeper.domain import Reading, Resource
from watchkeeper.watch.stopped import BECAUSE, given_up, stopped_cause

ORDERS_BOX = resource("orders-box", kind="container", slug="orders-container")
ORDERS = resource("orders", kind="postgres", runs_on=ORDERS_BOX.id)
APP_BOX = resource("app", kind="container", slug="app-container", depends_on=(ORDERS.id,))
WEB = resource("web", kind="nginx", depends_on=(APP_BOX.id,))


def off(of: Resource, *, for_seconds: float, on_purpose: bool = True) -> Reading:
    name = "host_" if of.runs_on else ""
    told = {f"{name}stopped_on_purpose": float(on_purpose), f"{name}ended_seconds": for_seconds}
    return replace(reading(of, after(60.0), **told), off=on_purpose)


def watched(*readings: Reading) -> Any:
    last = {one.resource: one for one in readings}
    return {r.id: SimpleNamespace(resource=r, last=last.get(r.id)) for r in (ORDERS_BOX, ORDERS, APP_BOX, WEB)}


def test_the_service_in_what_was_stopped_is_the_cause_of_what_needs_it_however_far() -> None:
    seen = watched(off(ORDERS_BOX, for_seconds=90.0), off(ORDERS, for_seconds=90.0))
    found = stopped_cause(WEB.id, [alert(WEB, rule="nginx-failing", at=T0)], seen)
    assert found is not None
    assert (found.root, found.cause) == (ORDERS.id, "orders was stopped on purpose, and web needs it.")
    assert "orders was stopped on purpose, 30 s before the first alert" in [one.what for one in found.evidence]


@pytest.mark.parametrize(
    ("ended", "on_purpose", "within"),
    [(30.0, True, timedelta.max), (90.0, False, timedelta.max), (600.0, True, BECAUSE)],
)
def test_what_was_stopped_later_or_by_a_fault_or_long_before_is_not(
    ended: float, on_purpose: bool, within: timedelta
) -> None:
    seen = watched(off(ORDERS, for_seconds=ended, on_purpose=on_purpose))
    assert stopped_cause(WEB.id, [alert(WEB, at=T0)], seen, within) is None


def test_what_ended_for_want_of_it_is_left_to_who_starts_it_once_it_is_back() -> None:
    seen = watched(off(ORDERS, for_seconds=90.0), reading(APP_BOX, ended_seconds=80.0), reading(WEB))
    assert given_up(WEB.id, [alert(WEB, at=T0)], seen) is not None
    assert given_up(APP_BOX.id, [alert(APP_BOX, at=T0)], seen) is None


@pytest.mark.parametrize(
    ("error", "named"), [('host not found in upstream "orders:5432"', True), ('unexpected "}"', False)]
)
def test_what_has_its_cause_in_itself_is_explained_only_where_it_names_what_was_stopped(
    error: str, named: bool
) -> None:
    own = replace(reading(WEB), facts={"configuration_error": error})
    seen = watched(off(ORDERS, for_seconds=90.0), own)
    found = stopped_cause(WEB.id, [alert(WEB, rule="nginx-configuration-broken", at=T0, own_cause=True)], seen)
    assert (found is not None) is named


def test_what_is_needed_and_not_watched_is_no_cause() -> None:
    seen = watched(reading(WEB))
    del seen[ORDERS.id]
    assert stopped_cause(WEB.id, [alert(WEB, at=T0)], seen) is None
