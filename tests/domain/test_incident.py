"""How an incident goes on and ends."""

from dataclasses import replace

from tests.domain.making import after, alert, fix, incident
from watchkeeper.domain import Diagnosis


def test_what_healed_the_root_is_remembered_while_victims_have_yet_to_recover() -> None:
    going_on = incident().fixing(fix()).going_on(fix(), "its victims still alert")
    assert (going_on.status, going_on.open_fix, going_on.cured) == ("open", None, "fix-1")


def test_what_healed_once_does_not_count_for_a_further_fix_or_a_relapse() -> None:
    cured = incident().fixing(fix()).going_on(fix(), "its victims still alert")
    assert cured.fixing(fix(id="fix-2")).cured is None
    assert cured.close("healed", after(9)).reopen(after(60)).cured is None


def test_all_roots_of_an_incident_are_named_whichever_is_handled_last() -> None:
    first = Diagnosis("docker/lab/redis/cache", "full", "it says so", others=("docker/lab/postgres/orders",))
    both = incident().diagnosed(first)
    assert both.roots == ("docker/lab/redis/cache", "docker/lab/postgres/orders")
    healed = both.fixing(fix()).going_on(fix(), "another has joined")
    last = healed.diagnosed(Diagnosis("docker/lab/postgres/orders", "locked", "it says so")).fixing(fix(id="fix-2"))
    assert set(last.close("healed", after(9)).roots) == {*fix().plan.resources[:1], "docker/lab/postgres/orders"}


def test_what_turns_out_to_be_a_victim_is_no_root_any_more() -> None:
    victim = incident().diagnosed(Diagnosis("docker/lab/nginx/front", "502", "it says so"))
    assert victim.diagnosed(Diagnosis("docker/lab/http/shop", "down", "it says so")).roots == ("docker/lab/http/shop",)


def test_what_was_over_before_it_came_back_is_no_part_of_it_now_and_the_time_between_it_was_well() -> None:
    old = replace(alert(at=after(0)), resolved_at=after(9))
    stays = replace(alert(at=after(1)), resolved_at=after(130))
    once = incident(at=after(0)).close("healed", after(10)).reopen(after(100))
    assert once.present([old, stays, alert(at=after(101))]) == [stays, alert(at=after(101))]
    assert incident().present([old]) == [old]
    again = once.close("healed", after(110)).reopen(after(200))
    assert (again.well_seconds, again.reopened_at) == (180.0, after(200))
