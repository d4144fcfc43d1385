"""The same fault soon after it was healed: its incident is opened again, and what failed is known."""

from dataclasses import replace

from tests.domain.making import after, alert, incident, resource
from watchkeeper.watch import relapse_of


def named(name: str) -> str:
    return resource(name).id


def closed(outcome: str = "healed", **more: object):
    return replace(incident(named("cache")), status="closed", outcome=outcome, closed_at=after(60), **more)


OLD = alert(named("cache"), incident="inc-1", status="resolved")


def test_the_same_fault_soon_after_healing_is_a_relapse() -> None:
    assert relapse_of(alert(named("cache")), [closed()], [OLD], after(90)) == closed()


def test_the_same_fault_much_later_is_a_new_incident() -> None:
    assert relapse_of(alert(named("cache")), [closed()], [OLD], after(60 + 601)) is None


def test_another_fault_is_no_relapse() -> None:
    assert relapse_of(alert(named("cache"), rule="down"), [closed()], [OLD], after(90)) is None
    assert relapse_of(alert(named("orders")), [closed()], [OLD], after(90)) is None


def test_what_only_suffered_then_may_suffer_from_something_else_now() -> None:
    suffered = alert(named("shop"), incident="inc-1", status="resolved")
    assert relapse_of(alert(named("shop")), [closed()], [OLD, suffered], after(90)) is None


def test_what_recovered_by_itself_or_was_removed_does_not_relapse() -> None:
    for outcome in ("recovered", "gone", "by_human"):
        assert relapse_of(alert(named("cache")), [closed(outcome)], [OLD], after(90)) is None


def test_a_relapse_reopens_and_still_knows_what_was_tried() -> None:
    again = closed(tried=("runbook:full#1@x",)).reopen(after(60))
    assert (again.status, again.outcome, again.closed_at, again.reopened) == ("open", None, None, 1)
    assert again.tried == ("runbook:full#1@x",)
