"""What the command line says to wrong input, without anything running."""

import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchkeeper.connectors import Registry
from watchkeeper_lab import engine, programs
from watchkeeper_lab.apt import FALLBACK, mirror
from watchkeeper_lab.bench import SUITES, Order, schedule
from watchkeeper_lab.cli import app
from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.scenario import scenarios

cli = CliRunner()


@pytest.fixture(autouse=True)
def no_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["break", "redis-kiled"], "redis-killed"),
        (["break", "redis-killed", "--name", "Not A Name"], "cannot name a lab"),
        (["reset", "--name", "absent"], "watchkeeper lab up --name absent"),
        (["status", "--name", "absent"], "is not up"),
        (["bench", "--only", "helthy"], "healthy"),
        (["bench", "--runs", "0"], "at least 1"),
        (["bench", "lob"], "`lab`"),
        (["bench", "unforseen"], "`unforeseen`"),
        (["bench", "--planner", "modle"], "scripted"),
        (["bench", "faults", "--planner", "scripted"], "bench unforeseen"),
        (["bench", "run", "faults", "--only", "redis-kiled"], "redis-killed"),
        (["bench", "--beside", "nobody"], "restart_unhealthy"),
        (["up", "--with", "bot"], "support-bot"),
        (["up", "--watchkeeper", "http://127.0.0.1:8000"], "--with support-bot"),
        (["replay", "--shift", "truncate"], "truncated"),
        (["replay", "--rate", "0"], "at least one"),
        (["replay", "--name", "absent"], "is not up"),
    ],
)
def test_bad_input_is_told_in_two_lines_with_exit_code_2(arguments: list[str], said: str) -> None:
    answer = cli.invoke(app, arguments)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 2


def test_without_an_engine_and_programs_it_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    monkeypatch.setattr(engine, "root_on_debian", lambda: False)
    monkeypatch.setattr(programs, "root_on_debian", lambda: False)
    monkeypatch.setattr(programs, "find", lambda program: None)
    answer = cli.invoke(app, ["up"])
    assert answer.exit_code == 2
    assert "nginx-light, postgresql, redis-server" in answer.stderr
    assert "or a Docker engine" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 2


def test_every_fault_is_listed() -> None:
    answer = cli.invoke(app, ["faults"])
    assert answer.exit_code == 0
    assert "redis-memory-full-no-headroom" in answer.stdout


def test_each_scenario_has_its_runs_and_the_order_is_drawn() -> None:
    turns = schedule([], 3, random.Random(1))
    usual = [one for one in scenarios().values() if not (one.is_long or one.unforeseen)]
    assert len(turns) == len({(one.name, run) for one, run in turns}) == 3 * len(usual)
    assert turns == schedule([], 3, random.Random(1))
    assert turns != schedule([], 3, random.Random(2))
    with pytest.raises(BadInputError):
        schedule(["nothing-like-it"], 1, random.Random(1))


def test_a_suite_is_part_of_everything_and_what_takes_long_is_run_once_and_only_when_asked_for() -> None:
    names = {suite: [one.name for one, _ in schedule([], 2, random.Random(1), suite=suite)] for suite in SUITES}
    assert "healthy-long" not in names["lab"] + names["faults"] + names["controls"]
    assert names["long"].count("healthy-long") == names["all"].count("healthy-long") == 1
    assert sorted(names["faults"] + names["controls"]) == sorted(names["lab"])
    foreseen = {name for name, one in scenarios().items() if not one.unforeseen}
    assert set(names["all"]) == foreseen
    assert set(names["unforeseen"]) - foreseen == set(scenarios()) - foreseen


def test_at_least_six_new_faults_have_no_runbook_and_those_of_the_others_are_taken_away() -> None:
    suite = {one.name: one for one, _ in schedule([], 1, random.Random(1), suite="unforeseen")}
    assert sum(one.unforeseen for one in suite.values()) >= 6
    assert sum(not one.unforeseen for one in suite.values()) >= 6
    assert all(one.script for one in suite.values())
    registry = Registry.installed()
    before = {f"{book.kind}/{book.name}" for book in registry.runbooks}
    registry.leave_out(Order("unforeseen").without_runbooks)
    assert before - {f"{book.kind}/{book.name}" for book in registry.runbooks} == set(
        Order("unforeseen").without_runbooks
    )
    tools = {step.tool for book in registry.runbooks for rung in book.ladder for step in rung}
    for one in suite.values():
        assert not (one.unforeseen and one.accepted_tools & tools), f"a runbook comes to a tool that heals {one.name}"
        assert {step["tool"] for step in one.script.get("steps", [])} <= one.accepted_tools & set(registry.tools)
        assert bool(one.script.get("nothing")) == (one.expect == "escalated")
    assert Order("lab").without_runbooks == ()


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("debian.sources", "Types: deb\nURIs: http://mirror.test/debian\nSuites: x\n", "http://mirror.test/debian"),
        ("a.list", "deb [signed-by=/x] https://mirror.test/debian/ bookworm main\n", "https://mirror.test/debian"),
        ("a.list", "deb http://mirror.test/debian-security bookworm-security main\n", FALLBACK),
        ("a.list", "# deb http://mirror.test/debian bookworm main\n", FALLBACK),
        ("a.sources.save", "URIs: http://mirror.test/debian\n", FALLBACK),
    ],
)
def test_packages_come_from_where_apt_takes_them(tmp_path: Path, name: str, text: str, found: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(text)
    assert mirror(tmp_path) == found
