"""What the lab reads of Watchkeeper, and that it keeps to its own resources."""

from typing import Any

import pytest

from watchkeeper_lab.api import Watchkeeper
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.narrate import Narrator

from .stub import stub

MINE, OTHER = "docker/lab/redis/mine", "docker/lab/redis/other"


def resource(name: str, project: str) -> dict[str, Any]:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "redis"}
    return {"id": name, "kind": "redis", "labels": labels}


def incident(name: str, root: str) -> dict[str, Any]:
    alert = {"rule": "r", "resource": root, "status": "firing", "firing_at": "2026-01-01T00:00:01Z"}
    times = {"opened_at": "2026-01-01T00:00:01Z", "closed_at": None}
    return {"id": name, "status": "open", "outcome": None, "title": "", "root": root, "alerts": [alert], **times}


async def test_only_the_labs_own_resources_and_incidents_are_seen() -> None:
    answers = {
        "/api/resources": lambda: [resource(MINE, "lab-mine"), resource(OTHER, "lab-other"), {"id": "x", "kind": "y"}],
        "/api/resources/status": lambda: [{"id": MINE, "health": "HEALTHY"}, {"id": OTHER, "health": "FAILED"}],
        "/api/incidents": lambda: [incident("1", MINE), incident("2", OTHER)],
    }
    async with stub(answers) as url, Watchkeeper(url, "lab-mine") as server:
        assert list(await server.resources()) == [MINE]
        assert await server.health() == {MINE: "HEALTHY"}
        assert [one.id for one in await server.incidents()] == ["1"]


async def test_the_slowest_for_is_read_and_its_absence_is_told() -> None:
    rules = [
        {"rule": "a", "for_seconds": 4, "runbook": "acts"},
        {"rule": "b", "for_seconds": 12.5, "runbook": "acts"},
        {"rule": "c", "for_seconds": 60, "runbook": "tells"},
        {"rule": "d", "for_seconds": 600, "runbook": None},
    ]
    runbooks = [{"name": "acts", "ladder": [[{"tool": "x"}]]}, {"name": "tells", "ladder": []}]
    async with (
        stub({"/api/rules": lambda: rules, "/api/runbooks": lambda: runbooks}) as url,
        Watchkeeper(url, "p") as server,
    ):
        assert await server.slowest_for() == 12.5
    async with stub({}) as url, Watchkeeper(url, "p") as server:
        assert await server.slowest_for() is None


async def test_a_server_that_is_not_there_is_told_in_two_lines() -> None:
    async with stub({}) as url:
        pass
    async with Watchkeeper(url, "p") as server:
        with pytest.raises(LabError, match="does not answer") as caught:
            await server.incidents()
    assert "watchkeeper up" in caught.value.hint


async def test_news_is_told_once() -> None:
    told: list[str] = []
    narrator = Narrator(told.append)
    async with (
        stub({"/api/resources": lambda: [resource(MINE, "p")], "/api/incidents": lambda: [incident("1", MINE)]}) as url,
        Watchkeeper(url, "p") as server,
    ):
        for _ in range(3):
            narrator.look(await server.incidents(), [])
    assert len(told) == len(set(told)) == 2
    assert "r on mine is firing" in told[0]
