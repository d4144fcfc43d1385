"""What `status` says of what is unwell, and `approve` of what comes of it."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from rich.console import Console

from watchkeeper.cli.incidents import _came_of
from watchkeeper.cli.status import _elsewhere, _unwell, resources_table

ADVICE = {
    "cause": "It was killed.",
    "author": "runbook:container-killed#1",
    "steps": [],
    "decision": {"outcome": "allow", "policy": "staging/disruptive", "reason": "It may."},
}
ITEM: dict[str, Any] = {
    **dict.fromkeys(("incident", "escalated", "to_do", "held", "maintenance", "stopped"), ""),
    "slug": "cache",
    "health": "FAILED",
    "state": "exited",
    "alerts": [],
    "tended_by": [],
    "advice": ADVICE,
}


def said(paused: str | None, **more: Any) -> str:
    screen = Console(width=120)
    with screen.capture() as captured:
        _unwell(screen, {**ITEM, **more}, None, paused)
    return captured.get()


def test_while_it_is_paused_nothing_is_said_to_be_done_now() -> None:
    assert "It would do now" in said(None)
    paused = said("paused by ada")
    assert "It would do this, and does nothing while it is paused by ada" in paused
    assert "It would do now" not in paused


def test_what_is_held_says_how_a_person_has_it_done_at_once() -> None:
    denied = {**ADVICE, "decision": {"outcome": "deny", "policy": "maintenance", "reason": "maintenance until 17:00"}}
    told = said(None, held="maintenance until 17:00", advice=denied)
    assert "`watchkeeper fix cache` is your approval of this, and does it at once" in told
    assert "fix cache" not in said("paused by ada", held="maintenance until 17:00", advice=denied)


def test_what_a_person_is_to_do_is_told_at_the_root_alone_where_that_is_unwell_too() -> None:
    root = {**ITEM, "id": "a", "slug": "ship-redis", "part_of": ""}
    victim = {**ITEM, "id": "b", "slug": "ship-nginx", "part_of": "ship-redis"}
    screen = Console(width=120)
    for item, others in ((root, [root, victim]), (victim, [root, victim]), (victim, [victim])):
        handed = {**item, "escalated": "nothing left", "to_do": "Give it more memory."}
        with screen.capture() as captured:
            _unwell(screen, handed, None, None, _elsewhere(handed, None, others))
        told = captured.get()
        beside = item is victim and root in others
        assert ("It is part of what is wrong with ship-redis: what is to be done is told there." in told) == beside
        assert ("Give it more memory." in told) != beside


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_table_says_at_any_width_where_it_may_act_and_cuts_nothing(width: int) -> None:
    row = {"kind": "container", "environment": "production", "since": "2026-01-01T00:00:00Z", "incident": None}
    row |= {"holder": None, "health": "DEGRADED", "state": "99% of maxmemory, 20 clients of 4,000"}
    row |= {"metric": {"name": "used_memory_ratio", "value": 0.986, "threshold": 0.95}}
    items = [
        {**row, "slug": "cache", "may_act": True, "incident": "inc-2e25dc72"},
        {**row, "slug": "orders", "may_act": False},
    ]
    screen = Console(width=width)
    with screen.capture() as captured:
        screen.print(resources_table(items, width))
    head, *lines = captured.get().splitlines()
    acts = {line.split()[0]: line[head.index("ACTS") :].split()[0] for line in lines if "DEGRADED" in line}
    assert acts == {"cache": "yes", "orders": "no"}
    assert all(
        ("used memory 98.6 % (limit 95 %)" in line) == ("METRIC" in head) for line in lines if "DEGRADED" in line
    )
    assert ("inc-2e25dc72" in captured.get()) == ("INCIDENT" in head)
    assert "INCIDENT" in head or width < 120


VOID = ("approval.void", "apr-1", "things have changed since it was asked for")


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ([("fix.started", "fix-1", "it begins")], "It is carried out now."),
        ([("incident.closed", "inc-1", "recovered by itself")], "It is not done: recovered by itself."),
        ([VOID], "It is not done: things have changed since it was asked for."),
        (
            [VOID, ("approval.requested", "apr-2", "redis_flush waits for a person")],
            "It is not done: things have changed since it was asked for. Another plan waits: redis_flush waits for a "
            "person\n  watchkeeper approve apr-2",
        ),
        ([], ""),
    ],
)
def test_who_approved_hears_at_once_whether_it_is_done(came: list[tuple[str, str, str]], said: str) -> None:
    class Told:
        def events(self, after: int, silence: float) -> Iterator[dict[str, Any]]:
            yield {"kind": "fix.started", "subject": "fix-9", "text": "another's", "incident": "inc-9"}
            yield from ({"kind": k, "subject": s, "text": t, "incident": "inc-1"} for k, s, t in came)

    assert _came_of(cast("Any", Told()), {"id": "apr-1", "incident": "inc-1"}, 0) == said
