"""Checks of the user's own, each against what it is made for: a web service, a port, a PostgreSQL, a program."""

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from http_fixtures import Service
from tests.postgres import USER, Postgres

from watchkeeper.connectors.check.run import carry_out
from watchkeeper.domain import ConfigurationError
from watchkeeper.settings import load_settings
from watchkeeper.settings.checks import CheckSettings


def ends(pid: int) -> bool:
    """Whether it is gone, or goes soon: what was sent SIGKILL does so in its own time."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 30)[0])
    finally:
        os.close(watched)


async def problem(**said: Any) -> str:
    return (await carry_out(CheckSettings.model_validate({"name": "one", "timeout": "10s"} | said))).problem


async def test_a_request_is_as_expected_or_says_how_it_is_not(web: Service) -> None:
    url = f"{web.url}/health"
    assert await problem(http=url) == ""
    assert await problem(http=url, expect={"status": 200, "json": {"status": "ok"}, "within": "10s"}) == ""
    assert await problem(http=url, expect={"json": {"status": "fine"}}) == "status is 'ok', wanted 'fine'"
    assert "answered 404" in await problem(http=f"{web.url}/nowhere")
    assert "wanted 0 ms" in await problem(http=url, expect={"within": "0.01ms"})


async def test_a_port_accepts_connections_or_not(web: Service) -> None:
    assert await problem(tcp=f"127.0.0.1:{web.port}") == ""
    assert await problem(tcp="127.0.0.1:9") == "nothing accepts connections there"


async def test_a_query_is_judged_and_can_change_nothing(orders: Postgres) -> None:
    at = {"url": f"postgresql://127.0.0.1:{orders.port}/postgres", "username": USER}
    assert await problem(sql=at | {"query": "SELECT 3"}, expect={"at_least": 3, "at_most": 3, "value": 3}) == ""
    assert await problem(sql=at | {"query": "SELECT 3"}, expect={"at_least": 4}) == "found 3, wanted at least 4"
    assert await problem(sql=at | {"query": "SELECT 1 WHERE false"}, expect={"value": 1}) == "no row came back"
    assert await problem(sql=at | {"query": "VALUES (1), (2)"}, expect={"rows": 1}) == "2 rows, wanted 1"
    assert "read-only transaction" in await problem(sql=at | {"query": "CREATE TABLE left_behind (id int)"})
    assert "multiple commands" in await problem(sql=at | {"query": "COMMIT; CREATE TABLE left_behind (id int)"})
    late = {"timeout": "1s", "sql": at | {"query": "SELECT pg_sleep(60)"}}
    said = await problem(**late)
    assert "statement timeout" in said or said == "no answer within 1 s"
    async with await psycopg.AsyncConnection.connect(orders.url("postgres")) as other:
        found = await other.execute("SELECT count(*) FROM pg_class WHERE relname = 'left_behind'")
        assert await found.fetchone() == (0,)


async def test_a_command_runs_without_a_shell_and_with_no_variable_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "not to be seen")
    monkeypatch.setenv("GIVEN", "for it")
    shown = [sys.executable, "-c", "import os, sys; print(sys.argv[1:], sorted(os.environ))", "$(id)", "; ls"]
    said = await problem(command=shown, environment={"TOLD": "env:GIVEN"}, expect={"contains": "nothing"})
    assert "['$(id)', '; ls']" in said
    assert "'TOLD'" in said
    assert "OURS" not in said
    assert await problem(command=shown) == ""
    assert "exited with 3, wanted 0" in await problem(command=[sys.executable, "-c", "raise SystemExit(3)"])
    assert "No such file" in await problem(command=["/no/such/program"])


async def test_a_command_that_hangs_is_ended_with_all_it_started_and_a_flood_is_cut(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    starts = f"sleep 600 & echo $! > {left}; wait"
    begun = time.monotonic()
    assert "no answer within 1 s" in await problem(command=["/bin/sh", "-c", starts], timeout="1s")
    assert time.monotonic() - begun < 60
    assert ends(int(left.read_text()))
    flood = await problem(command=[sys.executable, "-c", "print('x' * 10_000_000, 'end'); raise SystemExit(1)"])
    assert flood.endswith("x end")
    assert len(flood) < 500


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"htpp": "http://x"}, "did you mean `http`"),
        ({}, "exactly one of"),
        ({"http": "http://x", "tcp": "x:1"}, "there is `http` and `tcp`"),
        ({"http": "ftp://x"}, "write a URL"),
        ({"tcp": "x"}, "HOST:PORT"),
        ({"tcp": "x:1", "expect": {"status": 200}}, "`expect.status` says nothing of `tcp`"),
        ({"tcp": "x:1", "expect": {"withn": "1s"}}, "did you mean `within`"),
        ({"tcp": "x:1", "every": "often"}, "not a duration"),
        ({"tcp": "x:1", "severity": "bad"}, "severity"),
        ({"http": "http://x", "headers": {"Authorization": "Bearer y"}}, "references"),
        ({"sql": {"url": "mysql://x", "query": "SELECT 1"}}, "postgresql://"),
        ({"sql": {"url": "postgresql://u:pw@x/y", "query": "SELECT 1"}}, "references"),
        ({"command": "ls -l"}, "valid list"),
        ({"tcp": "x:1", "name": "with spaces"}, "pattern"),
    ],
)
def test_a_check_that_cannot_be_is_refused_with_what_would_be_right(
    said: dict[str, Any], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "watchkeeper.yaml"
    path.write_text(json.dumps({"checks": [{"name": "one"} | said]}))
    with pytest.raises(ConfigurationError) as raised:
        load_settings(path)
    assert told in str(raised.value)
