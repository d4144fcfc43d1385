"""A verdict from looks and probes alone."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.domain.making import CACHE, after, alert, fix, plan, reading, resource
from watchkeeper.domain import Alert, Condition, Health, Probe, Reading, Resource, Verdict
from watchkeeper.domain.situation import Situation
from watchkeeper.fixing import not_aimed_at
from watchkeeper.verify import Subject, judge
from watchkeeper.verify.verify import GOOD_LOOKS

SHOP = resource("shop")
SUBJECT = Subject(CACHE.id, (CACHE.id,))


def look(
    *readings: Reading,
    alerts: tuple[Alert, ...] = (),
    near: Health | None = None,
    known: tuple[Resource, ...] = (CACHE,),
) -> Situation:
    return Situation(
        at=reading().at,
        resources={r.id: r for r in (*known, SHOP)},
        readings={r.resource: r for r in readings},
        alerts=alerts,
        health={CACHE.id: Health.HEALTHY} | ({SHOP.id: near} if near else {}),
    )


GOOD = look(reading(used=0.1))
BAD = look(reading(used=0.99), alerts=(alert(),))
BLIND = look(replace(reading(), error="no answer"))
GONE = look(known=())


class Probes:
    """Gives one answer after the other, the last for ever, and counts."""

    def __init__(self, *answers: bool | None, failing: str = "") -> None:
        self.answers = list(answers or (True,))
        self.asked: list[str] = []
        self.failing = failing

    async def __call__(self, key: str) -> Probe:
        self.asked.append(key)
        ok = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.failing:
            ok = key != self.failing
        return Probe(key, reading().at, ok, 0.1, "a write and a read", None if ok else "OOM")


async def judged(*looks: Situation, subject: Subject = SUBJECT, probe: Probes | None = None) -> Verdict:
    async def come() -> AsyncIterator[Situation]:
        for seen in looks:
            yield seen

    return await judge(subject, come(), probe or Probes())


async def test_good_looks_in_a_row_and_a_probe_are_a_proof() -> None:
    verdict = await judged(*[GOOD] * GOOD_LOOKS)
    assert verdict.outcome == "healed"
    assert verdict.reasons == ("3 good looks in a row", "the probe passes (a write and a read)")
    assert len(verdict.after) == GOOD_LOOKS


NEEDED = replace(SUBJECT, served={SHOP.id: "shop"})


async def test_what_needs_it_is_given_time_to_be_served_again_before_it_is_called_healed() -> None:
    probe = Probes(True, False, True, False, True, True)  # the cache's, the shop's, and so on
    verdict = await judged(*[GOOD] * 10, subject=NEEDED, probe=probe)
    assert (verdict.outcome, verdict.reasons) == (
        "healed",
        ("3 good looks in a row", "the probe passes (a write and a read)"),
    )
    assert probe.asked == [CACHE.id, SHOP.id] * 3


async def test_what_is_not_served_when_the_time_is_over_is_said_and_undoes_nothing() -> None:
    verdict = await judged(*[GOOD] * 6, subject=NEEDED, probe=Probes(failing=SHOP.id))
    assert verdict.outcome == "healed"
    assert verdict.reasons[-1] == "shop, which needs it, is not served yet: OOM"
    assert len(verdict.after) == GOOD_LOOKS


async def test_a_fault_that_comes_back_while_others_wait_to_be_served_is_seen() -> None:
    assert (await judged(*[GOOD] * 4, BAD, subject=NEEDED, probe=Probes(failing=SHOP.id))).outcome == "not_healed"


async def test_what_cannot_tell_whether_it_is_served_is_not_waited_for() -> None:
    probe = Probes(True, None)
    assert (await judged(*[GOOD] * 4, subject=NEEDED, probe=probe)).reasons[
        -1
    ] == "the probe passes (a write and a read)"
    assert probe.asked == [CACHE.id, SHOP.id]


async def test_fewer_good_looks_are_none() -> None:
    probe = Probes()
    assert (await judged(*[GOOD] * (GOOD_LOOKS - 1), probe=probe)).outcome == "not_healed"
    assert probe.asked == []


async def test_good_looks_that_are_not_in_a_row_are_none() -> None:
    assert (await judged(GOOD, GOOD, BAD, GOOD, GOOD)).outcome == "not_healed"
    assert (await judged(GOOD, GOOD, BLIND, GOOD, GOOD)).outcome == "not_healed"


async def test_what_flaps_is_not_healed() -> None:
    assert (await judged(*[GOOD, BAD] * 10)).outcome == "not_healed"


async def test_it_is_healed_as_soon_as_the_proof_is_there() -> None:
    assert (await judged(BAD, BLIND, *[GOOD] * GOOD_LOOKS, BAD)).outcome == "healed"


async def test_an_alert_that_fires_is_not_healed_and_named() -> None:
    verdict = await judged(*[BAD] * 5)
    assert verdict.outcome == "not_healed"
    assert verdict.reasons == ("full is firing on cache",)


async def test_an_alert_that_pends_is_no_proof() -> None:
    pending = look(reading(), alerts=(alert(status="pending", firing_at=None),))
    assert (await judged(*[pending] * 5)).outcome == "not_healed"


async def test_a_warning_that_may_only_become_one_says_nothing_unless_it_is_the_fault_coming_back() -> None:
    warning = alert(rule="slow", status="pending", firing_at=None, severity="warning")
    perhaps = look(reading(), alerts=(warning,))
    assert (await judged(*[perhaps] * 5)).outcome == "healed"
    assert (await judged(*[perhaps] * 5, subject=replace(SUBJECT, about=frozenset({"slow"})))).outcome == "not_healed"
    fires = look(reading(), alerts=(replace(warning, status="firing"),))
    assert (await judged(*[fires] * 5)).outcome == "not_healed"


async def test_a_notice_hinders_no_proof() -> None:
    noticed = look(reading(), alerts=(alert(severity="info"),))
    assert (await judged(*[noticed] * GOOD_LOOKS)).outcome == "healed"


async def test_a_standing_alert_that_is_another_matter_hinders_no_proof() -> None:
    subject = replace(SUBJECT, ignored=frozenset({alert(rule="old").id}))
    standing = look(reading(), alerts=(alert(rule="old"),))
    assert (await judged(*[standing] * GOOD_LOOKS, subject=subject)).outcome == "healed"
    assert (await judged(*[standing] * GOOD_LOOKS)).outcome == "not_healed"


@pytest.mark.parametrize("unseen", [BLIND, GONE])
async def test_no_data_is_inconclusive(unseen: Situation) -> None:
    assert (await judged(*[unseen] * 5)).outcome == "inconclusive"


async def test_nothing_looked_at_is_inconclusive() -> None:
    verdict = await judged()
    assert (verdict.outcome, verdict.reasons) == ("inconclusive", ("nothing was looked at",))


async def test_data_lost_at_the_end_is_inconclusive() -> None:
    assert (await judged(GOOD, GOOD, BLIND)).outcome == "inconclusive"


async def test_no_data_with_an_alert_that_fires_is_not_healed() -> None:
    down = look(replace(reading(), error="refused"), alerts=(alert(rule="down"),))
    assert (await judged(*[down] * 5)).outcome == "not_healed"


async def test_every_resource_of_the_incident_is_judged() -> None:
    subject = Subject(CACHE.id, (CACHE.id, SHOP.id))
    half = look(reading(), alerts=())
    assert (await judged(*[half] * 5, subject=subject)).outcome == "inconclusive"
    both = look(reading(), reading(SHOP))
    probe = Probes()
    assert (await judged(*[both] * 5, subject=subject, probe=probe)).outcome == "healed"
    assert set(probe.asked) == {CACHE.id, SHOP.id}


async def test_one_failing_probe_of_several_is_no_proof() -> None:
    subject = Subject(CACHE.id, (CACHE.id, SHOP.id))
    both = look(reading(), reading(SHOP))
    verdict = await judged(*[both] * GOOD_LOOKS, subject=subject, probe=Probes(failing=SHOP.id))
    assert verdict.outcome == "not_healed"
    assert SHOP.id in verdict.reasons[0]


async def test_a_probe_that_fails_is_not_healed_and_says_why() -> None:
    verdict = await judged(*[GOOD] * GOOD_LOOKS, probe=Probes(False))
    assert verdict.outcome == "not_healed"
    assert verdict.reasons == (f"the probe of {CACHE.id} fails: OOM",)
    assert verdict.probe is not None


async def test_a_probe_that_could_not_be_made_is_inconclusive() -> None:
    assert (await judged(*[GOOD] * GOOD_LOOKS, probe=Probes(None))).outcome == "inconclusive"


async def test_after_a_failed_probe_the_row_begins_anew() -> None:
    probe = Probes(False, True)
    assert (await judged(*[GOOD] * (2 * GOOD_LOOKS - 1), probe=probe)).outcome == "not_healed"
    probe = Probes(False, True)
    assert (await judged(*[GOOD] * (2 * GOOD_LOOKS), probe=probe)).outcome == "healed"


HEALED = replace(SUBJECT, healed=Condition("reading.used < 0.5"), before=reading(used=0.97))


async def test_what_the_runbook_wants_must_hold_besides() -> None:
    high = look(reading(used=0.8))
    verdict = await judged(*[high] * 5, subject=HEALED)
    assert (verdict.outcome, verdict.reasons) == ("not_healed", ("reading.used < 0.5 does not hold yet",))


async def test_a_proof_tells_before_and_after() -> None:
    verdict = await judged(*[GOOD] * GOOD_LOOKS, subject=HEALED)
    assert "used: 0.97 → 0.1" in verdict.reasons
    assert verdict.before == reading(used=0.97)


async def test_only_the_figures_the_proof_names_are_told() -> None:
    subject = replace(HEALED, healed=Condition("reading.used_ratio < 0.5"), before=reading(used=9.0, used_ratio=0.97))
    good = look(reading(used=1.0, used_ratio=0.1))
    verdict = await judged(*[good] * GOOD_LOOKS, subject=subject)
    assert [reason for reason in verdict.reasons if "→" in reason] == ["used: 97 % → 10 %"]


async def test_what_the_runbook_wants_and_nobody_can_tell_is_inconclusive() -> None:
    assert (await judged(*[look(reading())] * 5, subject=HEALED)).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (Health.HEALTHY, Health.DEGRADED, "not_healed"),
        (Health.DEGRADED, Health.FAILED, "not_healed"),
        (Health.UNKNOWN, Health.FAILED, "not_healed"),
        (Health.DEGRADED, Health.DEGRADED, "healed"),
        (Health.FAILED, Health.HEALTHY, "healed"),
        (Health.HEALTHY, Health.UNKNOWN, "healed"),
    ],
)
async def test_no_neighbour_may_be_worse_than_before(before: Health, after: Health, outcome: str) -> None:
    subject = replace(SUBJECT, neighbours={SHOP.id: before.value})
    verdict = await judged(*[look(reading(), near=after)] * GOOD_LOOKS, subject=subject)
    assert verdict.outcome == outcome
    assert any(SHOP.id in reason for reason in verdict.reasons) is (outcome == "not_healed")


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["good", "bad", "blind"]), max_size=12), st.sampled_from([True, False, None]))
async def test_a_verdict_is_what_the_looks_say(looks: list[str], passes: bool | None) -> None:
    kinds: dict[str, Any] = {"good": GOOD, "bad": BAD, "blind": BLIND}
    verdict = await judged(*(kinds[kind] for kind in looks), probe=Probes(passes))
    rows = "".join(kind[0] if kind != "blind" else "?" for kind in looks)
    proven = "ggg" in rows and passes
    assert (verdict.outcome == "healed") is bool(proven)
    if not proven and (not looks or looks[-1] == "blind"):
        assert verdict.outcome == "inconclusive"
    if looks and looks[-1] == "bad" and not proven:
        assert verdict.outcome == "not_healed"


@pytest.mark.parametrize(("began", "outcome"), [(-5.0, "healed"), (5.0, "not_healed")])
async def test_what_already_went_wrong_at_what_needs_it_says_nothing_against_the_fix(
    began: float, outcome: str
) -> None:
    subject = replace(SUBJECT, neighbours={SHOP.id: Health.HEALTHY.value}, suffers=frozenset({SHOP.id}), since=after(0))
    ill = replace(look(reading(), near=Health.DEGRADED), alerts=(alert(SHOP, at=after(began)),))
    assert (await judged(*[ill] * GOOD_LOOKS, subject=subject)).outcome == outcome


OLDER = alert(rule="slow", severity="warning", at=after(-60))
AIMED = replace(HEALED, aside=frozenset({OLDER.id}))
STILL = look(reading(used=0.1), alerts=(OLDER,))


async def test_an_older_alert_that_the_plan_was_not_for_does_not_make_it_a_failure() -> None:
    verdict = await judged(BAD, *[STILL] * GOOD_LOOKS, subject=AIMED)
    assert verdict.outcome == "healed"
    assert verdict.reasons[-1] == "slow on cache, which it was not for, is firing still"
    assert "used: 0.97 → 0.1" in verdict.reasons
    assert (await judged(*[STILL] * GOOD_LOOKS, subject=HEALED)).outcome == "not_healed"


async def test_what_comes_of_the_same_cause_is_given_the_time_there_is() -> None:
    probe = Probes()
    verdict = await judged(*[STILL] * 10, *[GOOD] * GOOD_LOOKS, BAD, subject=AIMED, probe=probe)
    assert verdict.outcome == "healed"
    assert not any("still" in reason for reason in verdict.reasons)
    assert len(probe.asked) == 1


@pytest.mark.parametrize(
    "worse",
    [
        look(reading(used=0.1), alerts=(OLDER, alert())),
        look(reading(used=0.1), alerts=(OLDER, alert(rule="down", at=after(5), health=Health.FAILED))),
        look(reading(used=0.1), alerts=(OLDER, alert(rule="slow", id="again", at=after(5)))),
        look(reading(used=0.8), alerts=(OLDER,)),
        look(reading(used=0.1), alerts=(OLDER,), near=Health.DEGRADED),
    ],
    ids=["its own alert", "a new alert", "the old one anew", "what the runbook wants", "a neighbour"],
)
async def test_an_older_alert_excuses_nothing_else(worse: Situation) -> None:
    subject = replace(AIMED, neighbours={SHOP.id: Health.HEALTHY.value})
    assert (await judged(*[worse] * 6, subject=subject)).outcome == "not_healed"
    assert (await judged(*[STILL] * GOOD_LOOKS, worse, subject=subject)).outcome == "not_healed"


async def test_beside_an_older_alert_the_probe_must_pass_and_data_must_come() -> None:
    assert (await judged(*[STILL] * 5, subject=AIMED, probe=Probes(False))).outcome == "not_healed"
    silent = look(replace(reading(), error="no answer"), alerts=(OLDER,))
    assert (await judged(*[silent] * 5, subject=AIMED)).outcome != "healed"


async def test_another_fault_elsewhere_in_the_incident_is_not_asked_for_a_proof() -> None:
    elsewhere = alert(SHOP, rule="down", at=after(-60))
    subject = Subject(CACHE.id, (CACHE.id, SHOP.id), aside=frozenset({elsewhere.id}))
    silent = look(reading(used=0.1), replace(reading(SHOP), error="refused"), alerts=(elsewhere,))
    probe = Probes(failing=SHOP.id)
    assert (await judged(*[silent] * GOOD_LOOKS, subject=subject, probe=probe)).outcome == "healed"
    assert probe.asked == [CACHE.id]


def test_what_began_before_a_fix_and_its_plan_is_not_for_stands_aside() -> None:
    carrier, beside = resource("box", kind="container"), resource("other")
    known = {one.id: one for one in (replace(CACHE, runs_on=carrier.id), carrier, beside, SHOP)}
    begun = fix(plan(aims=("full",)), started_at=after(0))
    old = after(-60)
    alerts = (
        alert(at=old),
        alert(rule="slow", at=old),
        alert(rule="down", at=after(1)),
        alert(carrier, rule="out-of-memory", at=old),
        alert(beside, rule="full", at=old),
        alert(beside, rule="down", at=after(1)),
    )
    assert not_aimed_at(begun, alerts, known) == {alerts[1].id, alerts[4].id}
    assert not_aimed_at(replace(begun, incident=None), alerts, known) == set()
    assert not_aimed_at(fix(started_at=after(0)), alerts, known) == set()
