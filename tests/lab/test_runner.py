"""What belongs to a run, and what was there before it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from watchkeeper_lab.api import Watchkeeper
from watchkeeper_lab.narrate import Narrator
from watchkeeper_lab.oracle import Judgement
from watchkeeper_lab.runner import Watched, as_expected, mark, until_quiet
from watchkeeper_lab.scenario import scenario

from .stub import stub

REDIS = "docker/lab/redis/mine"


def at(second: int) -> str:
    return f"2026-01-01T12:00:{second:02}Z"


def incident(name: str, closed: int | None, *fired: int) -> dict[str, Any]:
    alerts = [
        {"rule": f"r{second}", "resource": REDIS, "status": "firing", "firing_at": at(second)} for second in fired
    ]
    return {
        "id": name,
        "status": "closed" if closed else "fixing",
        "outcome": "healed" if closed else None,
        "opened_at": at(fired[0]),
        "closed_at": at(closed) if closed else None,
        "root": REDIS,
        "alerts": alerts,
    }


async def test_an_incident_from_before_is_not_of_this_run_unless_it_is_reopened() -> None:
    shown = [incident("old", 5, 1), incident("relapsed", 6, 2)]
    labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "redis"}
    answers: dict[str, Any] = {
        "/api/resources": lambda: [{"id": REDIS, "kind": "redis", "labels": labels}],
        "/api/incidents": lambda: shown,
        "/api/fixes": list,
    }
    async with stub(answers) as url, Watchkeeper(url, "p") as server:
        known = {mark(one) for one in await server.incidents()}
        since = datetime.fromisoformat(at(10)).timestamp()
        watched = Watched(server, known, since, Narrator(lambda _: None))
        assert (await watched.look())[0] == []
        shown[1:] = [incident("relapsed", None, 2, 12), incident("new", 20, 11)]
        incidents, _ = await watched.look()
    assert [one.id for one in incidents] == ["new", "relapsed"]
    assert [alert.rule for alert in incidents[1].alerts] == ["r12"]


def judged(*reasons: str, **untouched: float | str) -> Judgement:
    facts = {name.replace("__", " "): value for name, value in untouched.items()}
    return Judgement(0.0, reasons, untouched=facts)


async def test_nothing_is_broken_while_a_person_is_called_still() -> None:
    """What was a false alarm is over by itself soon, and must not be taken for what was then broken."""
    asked: list[str] = []
    shown = incident("called", None, 1) | {"status": "escalated"}

    def incidents() -> list[dict[str, Any]]:
        asked.append(shown["status"])
        if len(asked) > 2:
            shown.update(incident("called", 5, 1) | {"outcome": "recovered"})
        return [shown.copy()]

    labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "redis"}
    answers: dict[str, Any] = {
        "/api/resources": lambda: [{"id": REDIS, "kind": "redis", "labels": labels}],
        "/api/resources/status": lambda: [{"id": REDIS, "health": "HEALTHY"}],
        "/api/incidents": incidents,
    }
    async with stub(answers) as url, Watchkeeper(url, "p") as server:
        await until_quiet(server)
    assert shown["status"] == "closed"


@pytest.mark.parametrize(
    ("name", "begun", "after", "fine"),
    [
        ("redis-killed", None, judged(), True),
        ("redis-killed", None, judged("broken"), False),
        ("healthy", judged(nginx__started_at="a"), judged(nginx__started_at="a"), True),
        ("healthy", judged(nginx__started_at="a"), judged(nginx__started_at="b"), False),
        ("healthy", judged(redis__config="a"), judged(), True),
        ("stopped-on-purpose", judged(redis__runs="exited"), judged("gone"), False),
        ("stopped-on-purpose", judged(redis__runs="exited"), judged("gone", redis__runs="exited"), True),
        ("stopped-on-purpose", judged(redis__runs="exited"), judged(redis__runs="running"), False),
    ],
)
def test_the_lab_is_judged_by_what_the_scenario_expects(
    name: str, begun: Judgement | None, after: Judgement, fine: bool
) -> None:
    right, reasons = as_expected(scenario(name), after, begun)
    assert right == fine
    assert bool(reasons) != fine


def test_what_was_to_be_escalated_is_broken_still_and_what_was_to_survive_must_have() -> None:
    hopeless = replace(scenario("redis-killed"), expect="escalated")
    assert as_expected(hopeless, judged("broken"), None) == (True, ())
    assert as_expected(hopeless, judged("broken"), None, ["query did not survive"])[0] is False
