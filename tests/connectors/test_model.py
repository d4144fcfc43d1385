"""A model as a resource: what its processes pushed in the last seconds, beside what is usual for it."""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from watchkeeper.connectors.model import ModelConnector, read
from watchkeeper.connectors.model.placing import Places
from watchkeeper.connectors.model.read import ModelSession
from watchkeeper.domain import ConfigurationError, Reading, Resource, Rule, now
from watchkeeper.domain.clock import clock
from watchkeeper.hosts import LocalShell, Machine
from watchkeeper.predictions import Predictions, PushBody, Shelf
from watchkeeper.store import Store
from watchkeeper.watch.graph import Graph
from watchkeeper_monitor import Profile
from watchkeeper_monitor.numbers import Numbers
from watchkeeper_monitor.onset import Change

RANKER = Resource("monitor/lab/model/ranker", "ranker")


class Later:
    """The present of this process, moved on by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.seconds


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    made = Later()
    monkeypatch.setattr(clock, "steady", made)
    return made


@pytest.fixture
async def predictions(tmp_path: Path) -> AsyncIterator[Predictions]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    shelf = Shelf(tmp_path, 30, 1 << 30)
    async with Store.open(url) as store, Predictions(store, timedelta(days=90), shelf).running() as made:
        yield made


class Process:
    """One that predicts and pushes."""

    def __init__(self, predictions: Predictions, host: str = "elsewhere", pid: int = 1) -> None:
        self._predictions = predictions
        self._id, self._sequence = secrets.token_hex(16), 0
        self._said = {"host": host, "pid": pid}

    async def push(
        self, number: int, *, seconds: float = 0.01, errors: int = 0, missing: int = 0, ago: float = 0.0
    ) -> None:
        profile, clicks = Profile("ranker", "1.4.0"), Numbers()
        profile.predictions = number
        if number:
            profile.latency.record_all(np.full(number, seconds))
            clicks.record_all(np.ones(number - missing))
            profile.numbers["clicks"] = clicks
        if number or errors:
            profile.seen(now().timestamp() - ago)
        if missing:
            profile.missing.add("clicks", missing)
        if errors:
            profile.errors.add("TimeoutError", errors)
        self._sequence += 1
        content: dict[str, Any] = {"began": 0.0, "every": 5.0, "profile": profile.to_dict(), **self._said}
        await self._predictions.take("ranker", self._id, self._sequence, 0.0, PushBody.model_validate(content))


async def compared(connector: ModelConnector, session: ModelSession) -> Reading:
    """A look, once what is worked out beside it is there."""
    await connector.read(session, None)
    assert session.followed is not None
    await session.followed.usual.settled()
    await session.followed.lasts.settled()
    return await connector.read(session, None)


async def look(predictions: Predictions, *, settings: dict[str, Any] | None = None) -> Reading:
    connector = ModelConnector().hearing(predictions)
    async with connector.connect(replace(RANKER, settings=settings or {}), None) as session:
        return await compared(connector, session)


def fires(reading: Reading) -> set[str]:
    """The rules that hold on a reading."""
    rules: tuple[Rule, ...] = ModelConnector.rules
    return {rule.id for rule in rules if rule.when.holds(reading.scope())}


async def test_figures_are_of_the_last_seconds_and_not_of_the_minute(predictions: Predictions, later: Later) -> None:
    """What its minute's profile held before is taken off: a fault that is over is over."""
    process = Process(predictions)
    await process.push(1000, ago=600)
    connector = ModelConnector().hearing(predictions)
    async with connector.connect(RANKER, None) as session:
        await process.push(50, seconds=2.0, missing=50)
        first = await compared(connector, session)
        assert first.metrics["latency_p95_seconds"] == pytest.approx(2.0, rel=0.02)
        assert first.metrics["missing_ratio"] == 1.0
        assert fires(first) == {"model-slow", "model-features-missing"}
        assert first.facts["missing"] == "clicks in 100% (usually 0%)"

        later.seconds = 20.0
        await process.push(60)
        await connector.read(session, None)
        later.seconds = 40.0
        await process.push(60)
        last = await connector.read(session, None)
        assert last.metrics["latency_p95_seconds"] == pytest.approx(0.01, rel=0.02)
        assert last.metrics["predictions_per_second"] == pytest.approx(60 / 20, rel=0.1)
        assert fires(last) == set()


async def test_what_is_usual_is_not_learnt_from_what_is_worse(predictions: Predictions, later: Later) -> None:
    """A fault that lasts for hours does not become what is usual."""
    process = Process(predictions)
    await process.push(1000, ago=600)
    connector = ModelConnector().hearing(predictions)
    async with connector.connect(RANKER, None) as session:
        readings: list[Reading] = []
        for _ in range(12):
            later.seconds += 100.0
            await process.push(300, seconds=2.0, missing=300)
            readings.append(await compared(connector, session))
        reading = readings[-1]
        assert reading.metrics["usual_latency_p95_seconds"] == pytest.approx(0.01, rel=0.02)
        assert fires(reading) >= {"model-slow", "model-features-missing"}


async def test_errors_count_against_what_is_usual_and_what_is_said(predictions: Predictions) -> None:
    process = Process(predictions)
    await process.push(900, errors=100, ago=600)
    await process.push(80, errors=20)
    reading = await look(predictions)
    assert reading.metrics["error_ratio"] == pytest.approx(0.2)
    assert reading.metrics["error_limit_ratio"] == pytest.approx(0.3), "one in ten always failed: three times as many"
    assert fires(reading) == set()
    await process.push(0, errors=60)
    reading = await look(predictions)
    assert fires(reading) == {"model-failing"}
    assert reading.facts["errors"] == "TimeoutError (80)"


async def test_few_predictions_tell_nothing(predictions: Predictions) -> None:
    process = Process(predictions)
    await process.push(1000, ago=600)
    await process.push(10, seconds=5.0, missing=10)
    reading = await look(predictions, settings={"latency": "100ms"})
    assert "latency_p95_seconds" not in reading.metrics
    assert fires(reading) == set()


async def test_a_limit_of_the_users_own(predictions: Predictions) -> None:
    await Process(predictions).push(100, seconds=0.3)
    reading = await look(predictions, settings={"latency": "200ms"})
    assert fires(reading) == {"model-too-slow"}
    with pytest.raises(ConfigurationError, match="latency"):
        await look(predictions, settings={"latency": "soon"})


async def test_that_nobody_asks_is_told_where_somebody_usually_does(predictions: Predictions, later: Later) -> None:
    process = Process(predictions)
    await process.push(1000, ago=600)
    await process.push(100)
    later.seconds = 70.0
    await process.push(0)  # it is there
    reading = await look(predictions)
    assert fires(reading) == {"model-quiet"}


async def test_its_clients_prove_that_it_answers(predictions: Predictions) -> None:
    """Nobody else can ask it something that makes sense; and what nobody asked proves nothing."""
    connector = ModelConnector().hearing(predictions)
    process = Process(predictions)
    await process.push(0)
    async with connector.connect(RANKER, None) as session:
        assert (await connector.probe(session)).ok is None
        await process.push(90, errors=10)
        failing = await connector.probe(session)
        assert (failing.ok, failing.error) == (False, "10% of what its clients asked failed")
        await process.push(200)
        assert (await connector.probe(session)).ok


async def test_one_that_always_fails_now_and_then_is_proven_well_all_the_same(predictions: Predictions) -> None:
    """What it may fail is the same for the proof as for the alert: else an incident of it would never end."""
    connector = ModelConnector().hearing(predictions)
    process = Process(predictions)
    await process.push(900, errors=100, ago=600)
    async with connector.connect(RANKER, None) as session:
        await process.push(5, errors=1)
        assert (await connector.probe(session)).ok is None, "six tell nothing"
        await process.push(80, errors=9)
        await compared(connector, session)
        assert (await connector.probe(session)).ok
        await process.push(0, errors=100)
        assert (await connector.probe(session)).ok is False


async def test_processes_that_are_silent_are_no_data(predictions: Predictions, later: Later) -> None:
    await Process(predictions).push(100)
    later.seconds = 130.0
    reading = await look(predictions)
    assert reading.error == "None of its processes has been heard of for 2 min 10 s."


async def test_accuracy_that_fell_is_the_models_own(predictions: Predictions, monkeypatch: pytest.MonkeyPatch) -> None:
    await Process(predictions).push(100)
    found = await read.lasting(predictions, "ranker")
    since = datetime(2026, 11, 20, 14, 2).isoformat()

    async def fallen(*_: Any) -> Any:
        return replace(found, fell=Change("accuracy", since, 0.4, before=0.91, after=0.74))

    monkeypatch.setattr(read, "lasting", fallen)
    reading = await look(predictions)
    assert fires(reading) == {"model-worse"}
    assert reading.facts["worse"] == "accuracy fell from 91% to 74%, since 20 Nov 14:02"
    assert next(rule for rule in ModelConnector.rules if rule.id == "model-worse").own_cause


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """A process that listens, and the number of its child: the port, and that number."""
    code = (
        "import socket, subprocess, sys; s = socket.create_server(('127.0.0.1', 0));"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE);"
        "print(s.getsockname()[1], child.pid, flush=True); sys.stdin.read(); child.communicate()"
    )
    # Away from this process, whose own children are never found.
    command = ["setsid", "-f", sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        port, child = started.stdout.readline().split()
        yield port, int(child)


async def test_a_process_of_this_machine_leads_to_what_it_runs_in(
    predictions: Predictions, server: tuple[str, int]
) -> None:
    """The monitor's process may be a child of the one that listens, as gunicorn's workers are."""
    port, child = server
    async with Machine(LocalShell()) as machine:
        places = await Places.among(await machine.hosts())
    await Process(predictions, socket.gethostname(), child).push(10)
    [model] = await predictions.models()
    [carrier] = places.carriers(model.senders)
    assert carrier.name.endswith(port)
    assert places.carriers([replace(one, host="elsewhere") for one in model.senders]) == []


def test_replicas_elsewhere_are_known_by_what_their_processes_say() -> None:
    one, other = Resource("docker/lab/container/a", "a"), Resource("docker/lab/container/b", "b")
    ranker = replace(RANKER, depends_on=(one.id, other.id))
    graph = Graph(resources={each.id: each for each in (one, other, ranker)})
    assert {(edge.target, edge.how) for edge in graph.edges()} == {(one.id, "processes"), (other.id, "processes")}
    assert graph.needs() == {ranker.id: (one.id, other.id)}
