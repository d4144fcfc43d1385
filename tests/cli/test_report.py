"""Mode observe, as a person meets it: the fault, what a person did about it, and the score the morning after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Run, Shop, running
from tests.conftest import start_redis
from tests.notify.html_parsing import every, parse, runs_or_fetches, text_of


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A Redis that is watched in mode observe, filled past its limit, and given more room by a person."""
    folder = tmp_path_factory.mktemp("observed")
    server = start_redis(folder, "--maxmemory", "8mb")
    said = {"name": "cache", "kind": "redis", "url": server.url, "environment": "lab", "act": True}
    said["settings"] = {"cache_keys": "page:*"}
    rules = {"redis-memory-full": {"for": "300ms"}}
    config = folder / "watchkeeper.yaml"
    config.write_text(yaml.safe_dump({"resources": [said], "only": ["local/*"], "rules": rules}))
    try:
        with (
            running(folder / "data", "--config", str(config), "--mode", "observe") as up,
            server.client() as client,
        ):
            up.until_line("What happens from here on")
            shop = Shop(up, {"cache": server})
            client.eval("for i=1,7400 do redis.call('set','page:'..i,string.rep('x',1000)) end", 0)
            shop.until(lambda event: event["kind"] == "fix.would")
            client.config_set("maxmemory", 32 << 20)
            shop.until(lambda event: event["kind"] == "incident.closed")
            yield shop
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_the_morning_report_tells_what_it_would_have_done_and_what_a_person_did(observed: Shop, run: Run) -> None:
    told = run(*observed.where, "report", "--since", "12h").out

    assert "1 incident: 1 recovered" in told
    assert "after the first sign: `redis_" in told
    assert "never tried here on this kind of resource; in mode auto policy says allow (lab/disruptive)" in told
    assert "something else was changed" in told
    assert "cache: maxmemory 8 MiB → 32 MiB, not by Watchkeeper" in told


def test_for_machines_the_score_is_json(observed: Shop, run: Run) -> None:
    told = run(*observed.where, "report", "--since", "yesterday", "--format", "json").json

    assert (told["score"]["proposals"], told["score"]["other"], told["score"]["needless"]) == (1, 1, 0)
    assert told["score"]["saved_seconds"] > 0


def test_what_changed_stands_in_the_incident_and_what_changed_since_is_not_taken_for_its_cause(
    observed: Shop, run: Run
) -> None:
    (incident,) = run(*observed.where, "incidents", "--json").json["items"]
    story = run(*observed.where, "show", incident["id"]).out
    page = run(*observed.where, "report", incident["id"]).out

    for told in (story, page):
        before, since = told.split("Changed before it opened")[1].split("Changed since")
        assert "maxmemory 8 MiB → 32 MiB" not in before
        assert "cache: maxmemory 8 MiB → 32 MiB, not by Watchkeeper" in since


def test_a_page_is_written_to_a_file_with_the_chart_of_what_was_read(observed: Shop, run: Run, tmp_path: Path) -> None:
    (incident,) = run(*observed.where, "incidents", "--json").json["items"]
    page, week = tmp_path / "incident.html", tmp_path / "week.html"
    written = run(*observed.where, "report", incident["id"], "--output", str(page))
    assert (written.code, written.out, written.err) == (0, "", f"Written to {page}.\n")
    assert run(*observed.where, "report", "--since", "7d", "--format", "html", "--output", str(week)).code == 0
    one, other = parse(page.read_text()), parse(week.read_text())

    (chart,) = [svg for svg in every(one, "svg") if svg.attrib["class"] == "wide"]
    assert "alert: > 95 %" in text_of(chart)
    assert every(chart, "path", "circle")
    assert "it recovered, not by Watchkeeper." in text_of(every(one, "h1")[0])
    assert "1 incident: none healed without a person." in text_of(every(other, "h1")[0])
    assert runs_or_fetches(one) == runs_or_fetches(other) == []


@pytest.mark.parametrize("arguments", [("inc-1", "--since", "1h"), ("--since", "soon")])
def test_a_report_on_two_things_or_since_nothing_says_how_it_is_asked_for(arguments: tuple[str, ...], run: Run) -> None:
    said = run("report", *arguments)

    assert said.code == 2
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 2
