"""The morning report tells everything, and where it leaves something out it says so."""

import json
from dataclasses import replace
from typing import Any

from tests.domain.making import CACHE, T0, after, fix, incident, plan, step
from tests.domain.test_proposal import proposal
from watchkeeper.domain import LOOP, Approval, Decision, Event, Verdict
from watchkeeper.notify.morning import Blind, Morning, morning_json, morning_markdown

HEALED = Verdict("healed", ("3 good looks in a row",))
CLOSED = replace(incident(), status="closed", outcome="healed", closed_at=after(14), reason="all well")
WAITING = Approval(
    "apr-1", "inc-1", "fix-2", plan(step(value=10)), Decision("ask", "p", "why"), "d", LOOP, T0, after(60)
)


def morning(**more: Any) -> Morning:
    given: dict[str, Any] = {"since": T0, "until": after(3600), "mode": "observe", "names": {CACHE.id: "cache"}} | more
    return Morning(**given)


def test_a_quiet_night_is_one_line() -> None:
    assert morning_markdown(morning()).splitlines() == [
        "*Watchkeeper, 01 Mar 2026 12:00 to 01 Mar 2026 13:00 UTC* (mode observe)",
        "No incident · 0 fixes · 0 changes",
    ]


def test_it_tells_what_happened_what_was_done_and_what_waits() -> None:
    done = replace(fix(plan(step(value=10))), verdict=HEALED, finished_at=after(3))
    change = Event("change.config", CACHE.id, "cache: maxmemory 8 MiB → 12 MiB, not by Watchkeeper", T0)
    told = morning_markdown(
        morning(
            incidents=[CLOSED, replace(incident(id="inc-2"), status="escalated", reason="nothing left")],
            fixes=[done],
            waiting=[WAITING],
            changes=[change],
            blind=[Blind("db", "no answer within 3 s")],
        )
    )

    assert "2 incidents: 1 healed, 1 with a person · 1 fix · 1 change · 1 not seen" in told
    assert "`grow value=10` on cache: healed in 3.0 s, allowed by lab/reversible; 3 good looks in a row" in told
    assert "healed after 14 s: all well" in told
    assert "`watchkeeper approve apr-1`" in told
    assert "`inc-2` full on docker/lab/redis/cache: nothing left; `watchkeeper show inc-2`" in told
    assert change.text in told
    assert "db: no answer within 3 s" in told


def test_what_it_would_have_done_stands_beside_what_then_happened() -> None:
    told = morning_markdown(
        morning(proposals=[proposal(seconds=840, ending="same", then=(plan(step("flush")),)), proposal("inc-2")])
    )

    assert "1.0 s after the first sign: `grow` on cache, then `flush`; never tried here" in told
    assert "in mode auto policy says allow (lab/reversible); not done: mode observe. What happened: it ended." in told
    assert "What happened: still unwell." in told
    assert "1 × a person did the same" in told
    assert "at most 74 min sooner" in told


def test_no_table_and_no_heading_that_a_chat_shows_raw() -> None:
    told = morning_markdown(morning(incidents=[CLOSED], proposals=[proposal()]))

    assert not any(line.startswith(("#", "|")) for line in told.splitlines())


def test_what_is_left_out_is_said_and_machines_get_all() -> None:
    many = morning(incidents=[replace(CLOSED, id=f"inc-{number}") for number in range(100)])

    assert "• and 70 more: `--format json` has all" in morning_markdown(many)
    assert len(morning_json(many)["incidents"]) == 100


def test_for_machines_it_is_plain_json_with_seconds() -> None:
    told = json.loads(json.dumps(morning_json(morning(incidents=[CLOSED], proposals=[proposal(seconds=5)]))))

    assert told["incidents"][0]["seconds"] == 14
    assert told["proposals"][0]["seconds"] == 5
    assert told["score"]["unwell"] == 1


def test_of_what_is_not_watched_now_it_does_not_say_how_it_is() -> None:
    left = replace(incident(), status="escalated", reason="Write `act: true`.")
    told = morning_markdown(morning(incidents=[left], proposals=[proposal()], unwatched={CACHE.id}))

    assert "What happened: not known: it is not watched now." in told
    assert "still unwell" not in told
    assert "not watched now; `watchkeeper close inc-1 --note WHY` ends it" in told
    assert "act: true" not in told.partition("*Incidents*")[0]


def test_a_reason_that_is_a_sentence_keeps_one_full_stop() -> None:
    told = morning_markdown(morning(incidents=[replace(incident(), status="escalated", reason="Nothing is left.")]))

    assert "Nothing is left; `watchkeeper show inc-1`" in told
