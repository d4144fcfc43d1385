"""One file that tells an incident or a period to anybody: it fetches nothing, runs nothing, and invents nothing."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.domain.making import CACHE, T0, after, alert, fix, incident, plan, reading, rule, step
from tests.notify.html_parsing import every, parse, runs_or_fetches, tag, text_of
from watchkeeper.domain import (
    Approval,
    Decision,
    Diagnosis,
    Effect,
    Event,
    Evidence,
    Fix,
    LogLine,
    Principal,
    StepRecord,
    Verdict,
)
from watchkeeper.notify.html import Seen, Story, incident_html, period_html
from watchkeeper.notify.html.page import FOLDER
from watchkeeper.notify.morning import Blind, Morning

PLANTED = "</title></style></text><script>document.title='ran'</script><img src=x onerror=alert(1)>'\"{{7*7}}"
DIAGNOSIS = Diagnosis(
    CACHE.id,
    "The data outgrew maxmemory.",
    "full on cache",
    (Evidence(CACHE.id, T0, "full: 0.97"),),
    ("redis_flush: keys are not declared",),
    author="runbook:full#1",
)
RULE = replace(rule("reading.used_ratio > 0.95"), metric="used_ratio")


def healed(*, effect: Effect = Effect.REVERSIBLE, **more: Any) -> Fix:
    made = plan(
        replace(
            step("redis_set_maxmemory", effect=effect, value=256 << 20), by_hand="redis-cli CONFIG SET maxmemory 1"
        ),
        diagnosis=DIAGNOSIS,
        healed="reading.used_ratio < 0.85",
    )
    done = StepRecord(0, "redis_set_maxmemory", CACHE.id, {}, "done", before=64 << 20, after=256 << 20)
    verdict = Verdict("healed", ("3 good looks in a row",), reading(used_ratio=0.99), (reading(used_ratio=0.25),))
    given = {"steps": (done,), "verdict": verdict, "executed_at": after(5), "finished_at": after(6)}
    return replace(fix(made), started_at=after(4.5), **(given | more))


def looks(*values: float | None) -> Seen:
    """One a second, from two seconds before the first sign."""
    made = [
        reading(CACHE, after(second - 2), used_ratio=value)
        if value is not None
        else replace(reading(CACHE, after(second - 2)), error="no answer")
        for second, value in enumerate(values)
    ]
    return Seen(made, len(made))


def story(**more: Any) -> Story:
    closed = replace(incident(diagnosis=DIAGNOSIS, at=after(4)).close("healed", after(6), "all well"), fixes=("fix-1",))
    given: dict[str, Any] = {
        "incident": closed,
        "at": after(100),
        "alerts": [alert(at=T0, firing_at=after(4), resolved_at=after(5.5), incident="inc-1", status="resolved")],
        "fixes": [healed()],
        "events": [Event("incident.opened", "inc-1", "full on cache", after(4), incident="inc-1")],
        "seen": {CACHE.id: looks(0.2, 0.2, 0.99, 0.99, None, 0.99, 0.99, 0.99, 0.25, 0.25)},
        "rules": {"full": RULE},
        "names": {CACHE.id: "cache"},
    }
    return Story(**(given | more))


def period(**more: Any) -> Morning:
    one = story()
    given: dict[str, Any] = {
        "since": T0,
        "until": after(3600),
        "mode": "auto",
        "incidents": [one.incident],
        "fixes": one.fixes,
        "alerts": one.alerts,
        "names": {CACHE.id: "cache"},
    }
    return Morning(**(given | more))


def hostile() -> tuple[str, str]:
    """Both pages with something planted wherever text comes from outside."""
    bad = Diagnosis(CACHE.id, PLANTED, PLANTED, (Evidence(CACHE.id, T0, PLANTED),), (PLANTED,), author=PLANTED)
    told = story()
    planted = replace(
        told.incident, id=PLANTED, title=PLANTED, reason=PLANTED, diagnosis=bad, status="escalated", outcome=None
    )
    rung = replace(
        healed().plan,
        author=PLANTED,
        diagnosis=bad,
        steps=(replace(step(PLANTED, x=PLANTED), by_hand=PLANTED, why=PLANTED),),
    )
    record = StepRecord(0, PLANTED, CACHE.id, {}, "failed", before=PLANTED, after=PLANTED, error=PLANTED)
    tried = replace(
        healed(),
        plan=rung,
        steps=(record,),
        undo=(replace(record, status="done"),),
        approved_by=PLANTED,
        decision=Decision("ask", PLANTED, PLANTED),
        principal=Principal("person", PLANTED, "operator"),
        verdict=Verdict("not_healed", (PLANTED,)),
    )
    asked = Approval(
        "apr-1", PLANTED, tried.id, rung, tried.decision, "d", tried.principal, T0, after(60), note=PLANTED
    )
    events = [Event("change.config", PLANTED, PLANTED, T0, by=PLANTED)]
    one = incident_html(
        replace(
            told,
            incident=planted,
            alerts=[replace(told.alerts[0], rule=PLANTED, why=PLANTED), *told.alerts],
            fixes=[tried],
            approvals=[replace(asked, decided_by=PLANTED)],
            events=events,
            changes=events,
            logs=[LogLine(T0, "ERROR", PLANTED, CACHE.id)],
            names={CACHE.id: PLANTED},
        )
    )
    other = period_html(
        period(
            incidents=[planted],
            fixes=[tried],
            waiting=[asked],
            changes=events,
            blind=[Blind(PLANTED, PLANTED)],
            drift=[PLANTED],
            names={CACHE.id: PLANTED},
        )
    )
    return one, other


PAGES: list[Callable[[], str]] = [
    lambda: incident_html(story()),
    lambda: period_html(period()),
    lambda: hostile()[0],
    lambda: hostile()[1],
]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_nothing_and_fetches_nothing_whatever_it_tells_of(page: Callable[[], str]) -> None:
    text = page()
    tree = parse(text)
    (policy,) = [m.attrib["content"] for m in every(tree, "meta") if "http-equiv" in m.attrib]

    assert runs_or_fetches(tree) == []
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_what_is_planted_is_there_as_text() -> None:
    for page in hostile():
        assert text_of(parse(page)).count(" ".join(PLANTED.split())) > 8


def test_the_check_for_what_runs_finds_what_is_not_escaped() -> None:
    found = runs_or_fetches(parse(f"<p>{PLANTED}<svg onload=x><style>a{{background:url(//x)}}</style>"))
    assert found == ["script", "img", "img src=x", "img onerror", "svg onload", "url(//x)"]


@pytest.mark.parametrize("page", PAGES)
def test_whoever_cannot_see_it_can_read_it(page: Callable[[], str]) -> None:
    tree = parse(page())
    ids = [one.attrib["id"] for one in tree.iter() if "id" in one.attrib]

    assert tree.attrib["lang"] == "en"
    assert len(ids) == len(set(ids))
    for table in every(tree, "table"):
        assert text_of(every(table, "caption")[0])
        assert all(one.attrib.get("scope") for one in every(table, "th"))
    for svg in every(tree, "svg"):
        named = svg.attrib["aria-labelledby"].split()
        assert svg.attrib["role"] == "img"
        assert [tag(one) for one in svg.iter() if one.attrib.get("id") in named and text_of(one)] == ["title", "desc"]
    levels = [int(tag(one)[1]) for one in every(tree, "h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", [0, 1])
def test_every_colour_of_letters_stands_out_from_what_it_is_on(theme: int) -> None:
    """WCAG 2.2, 1.4.3 (AA): at least 4.5 to 1."""
    block = re.findall(r":root \{(.*?--code[^;]*;)", (FOLDER / "style.css").read_text(), re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    pairs = [
        (ink, on) for ink in ("text", "soft", "red", "green", "amber", "blue", "violet") for on in ("page", "card")
    ]
    pairs += [(ink, f"{ink}-wash") for ink in ("red", "green", "amber", "blue")] + [
        ("text", "code"),
        ("text", "amber-wash"),
    ]
    for ink, on in pairs:
        light, dark = sorted((_luminance(colours[ink]), _luminance(colours[on])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, on)


def headline(of: Story) -> str:
    return text_of(every(parse(incident_html(of)), "h1")[0])


def test_a_page_begins_with_what_happened_for_how_long_and_what_fixed_it() -> None:
    assert (
        headline(story())
        == "Redis cache was degraded for 5.5 s; fixed automatically by “set maxmemory”, and proven well."
    )
    approved = story(fixes=[healed(approved_by="person:ada")])
    assert "fixed with the approval of ada by “set maxmemory”" in headline(approved)


def test_nothing_is_called_automatic_where_a_person_had_a_word_in_what_was_changed() -> None:
    agreed = replace(healed(approved_by="person:ada"), id="fix-0", started_at=after(4.2))
    assert "fixed with the approval of ada by" in headline(story(fixes=[agreed, healed()]))


def test_what_changed_since_it_opened_stands_apart_from_what_may_be_why() -> None:
    told = [Event("change.config", "cache", f"limit {when}", after(at)) for when, at in (("before", -60), ("since", 5))]
    page = incident_html(story(changes=told))
    before, since = page.split("Changed before it opened")[1].split("Changed since")
    assert "limit before" in before
    assert "limit since" not in before
    assert "limit since" in since.split("<h3>")[0]
    assert "Changed since" not in incident_html(story(changes=told[:1]))


def test_what_is_not_over_or_ended_otherwise_is_not_called_fixed() -> None:
    open_alert = [replace(story().alerts[0], status="firing", resolved_at=None)]
    waits = replace(story().incident, status="escalated", outcome=None, closed_at=None, reason="nothing left")
    alone = replace(story().incident, outcome="recovered")
    assert headline(story(incident=waits, alerts=open_alert, fixes=[])) == (
        "Redis cache is degraded; it was handed to a person and is not over."
    )
    assert headline(story(incident=alone, fixes=[])).endswith("for 5.5 s; it recovered, not by Watchkeeper.")


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (Effect.REVERSIBLE, "No action deleted data or interrupted the service."),
        (Effect.DISRUPTIVE, "No action deleted data; one of them interrupted the service briefly."),
        (Effect.DESTRUCTIVE, "One of the actions deletes data"),
    ],
)
def test_what_the_actions_cost_is_told_by_their_effects(effect: Effect, said: str) -> None:
    assert said in incident_html(story(fixes=[healed(effect=effect)]))


def test_time_between_relapses_is_not_counted_as_unwell() -> None:
    first = story().alerts[0]
    again = replace(first, id="again", pending_at=after(50), firing_at=after(54), resolved_at=after(55))
    assert "for 10 s in all" in headline(
        story(alerts=[first, again], incident=replace(story().incident, reopened=1, closed_at=after(56)))
    )


def test_the_chart_shows_limits_alert_fix_verdict_and_where_nothing_was_seen() -> None:
    tree = parse(incident_html(story()))
    wide = next(svg for svg in every(tree, "svg") if svg.attrib["class"] == "wide")
    words = [text_of(one) for one in every(wide, "text")]
    styles = [one.attrib.get("class", "") for one in wide.iter()]

    assert "alert: > 95 %" in words
    assert "well: < 85 %" in words
    assert [word for word in words if word in "12345"] == ["1", "2", "3", "4", "5"]
    assert "alert" in styles
    assert "fix" in styles
    assert (
        len([one for one in every(wide, "path") if one.attrib["class"] == "curve"]) == 2
    )  # broken where a look failed
    assert any("url(#" in one.attrib.get("fill", "") for one in every(wide, "rect"))
    assert "lowest 20 %, highest 99 %, at the end 25 %" in text_of(every(wide, "desc")[0])
    assert "99 % before the fix, 25 % after" in text_of(tree)


def test_the_chart_has_no_line_over_a_time_in_which_nobody_looked() -> None:
    times = [
        0,
        2,
        4,
        104,
        106,
        108,
        168,
        170,
        172,
    ]  # a hundred seconds without a look; then a minute, as kept of what is well
    seen = Seen([reading(CACHE, after(at - 50), used_ratio=0.5 if at < 50 else 0.1) for at in times], len(times))
    tree = parse(incident_html(story(at=after(400), seen={CACHE.id: seen})))
    wide = next(svg for svg in every(tree, "svg") if svg.attrib["class"] == "wide")

    lines = [one.attrib["d"] for one in every(wide, "path") if one.attrib["class"] == "curve"]
    assert [line.count("L") for line in lines] == [2, 5]
    assert len([one for one in every(wide, "rect") if "url(#" in one.attrib.get("fill", "")]) == 1
    assert "hatched: no data" in text_of(tree)


def test_without_readings_it_says_that_there_is_no_chart_and_why() -> None:
    text = text_of(parse(incident_html(story(seen={}))))
    assert "There is no chart." in text
    assert "used_ratio of cache: no readings of that time are kept" in text


def test_a_chart_of_some_of_the_readings_says_so() -> None:
    seen = looks(0.2, 0.99, 0.25)
    assert "Drawn from 3 of 9000 readings." in incident_html(story(seen={CACHE.id: replace(seen, of=9000)}))


def test_it_tells_who_decided_how_it_is_done_by_hand_and_what_was_passed_over() -> None:
    text = text_of(parse(incident_html(story())))
    for said in (
        "Planned by runbook:full#1 at",
        "Policy lab/reversible allowed it: reversible is allowed on lab.",
        "67,108,864 (64 MiB) → 268,435,456 (256 MiB)",
        "The same by hand: redis-cli CONFIG SET maxmemory 1",
        "redis_flush: keys are not declared",
        "3 good looks in a row",
        "Nothing was taken back.",
    ):
        assert said in text


def test_a_page_on_a_period_tells_who_healed_what_and_what_needs_attention() -> None:
    handed = replace(incident(id="inc-2", at=after(900)), status="escalated", reason="nothing left")
    text = text_of(parse(period_html(period(incidents=[story().incident, handed]))))
    for said in (
        "2 incidents: 1 healed without a person, 1 with a person or not over.",
        "inc-2: full on docker/lab/redis/cache. nothing left",
        "Success rate 100% 1 of 1 it acted on",
        "The data outgrew maxmemory. redis_set_maxmemory runbook:full#1 1 of 1",
    ):
        assert said in text


def test_with_a_persons_word_it_was_not_healed_without_a_person() -> None:
    text = text_of(parse(period_html(period(fixes=[healed(approved_by="person:ada")]))))
    assert "1 incident: none healed without a person." in text
    assert "1 healed with a person’s word" in text


def test_a_quiet_period_has_no_figures_that_nothing_gives() -> None:
    text = text_of(parse(period_html(period(incidents=[], fixes=[], alerts=[]))))
    assert "Nothing was unwell." in text
    assert "Success rate" not in text
    assert "To repair" not in text
