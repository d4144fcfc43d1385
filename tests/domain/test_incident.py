"""How an incident goes on and ends."""

from tests.domain.making import after, fix, incident


def test_what_healed_the_root_is_remembered_while_victims_have_yet_to_recover() -> None:
    going_on = incident().fixing(fix()).going_on(fix(), "its victims still alert")
    assert (going_on.status, going_on.open_fix, going_on.cured) == ("open", None, "fix-1")


def test_what_healed_once_does_not_count_for_a_further_fix_or_a_relapse() -> None:
    cured = incident().fixing(fix()).going_on(fix(), "its victims still alert")
    assert cured.fixing(fix(id="fix-2")).cured is None
    assert cured.close("healed", after(9)).reopen().cured is None
