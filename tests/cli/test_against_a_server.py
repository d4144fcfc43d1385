"""What a user sees and does while a server runs."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Shop
from watchkeeper.cli import status as cli_status
from watchkeeper.cli.installed import PATHS, here
from watchkeeper.settings import load_settings


def test_up_said_what_it_found_and_where_it_listens(shop: Shop) -> None:
    said = "\n".join(shop.up.lines)

    assert "Mode approve: every change waits for a person." in said
    assert f"http://127.0.0.1:{shop.up.port}" in said
    assert all(
        any(line.startswith(f"{name} ") and "● HEALTHY" in line for line in shop.up.lines) for name in shop.redis
    )


def test_up_says_what_to_do_when_the_engine_cannot_be_reached_and_goes_on(shop: Shop) -> None:
    said = "\n".join(shop.up.lines)

    assert "cannot be reached" in said
    assert "or set DOCKER_HOST" in said


def test_doctor_asks_nobody_whom_the_server_that_runs_leaves_alone(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "doctor").out
    assert "● ok      only          nothing but cache, carts, sessions is asked here" in said
    assert "nothing but" not in run(*shop.where, "doctor", "--only", "*").out


def test_doctor_does_not_take_its_own_environment_for_that_of_the_server_that_runs(
    shop: Shop, run: Run, tmp_path: Path
) -> None:
    """What is exported where the server was started need not be in this shell: that is no fault of the server's."""
    content = "resources: [{name: cache, kind: redis, url: 'redis://127.0.0.1:1', password: 'env:NO_SUCH_VARIABLE'}]"
    (tmp_path / "other.yaml").write_text(content)

    said = run("--config", str(tmp_path / "other.yaml"), "doctor", "--url", f"http://127.0.0.1:{shop.up.port}").out
    assert "▲ missing credentials   cache: NO_SUCH_VARIABLE is not set in this shell" in said
    assert "what the server that runs has in its own environment is not known here" in " ".join(said.split())


def test_status_shows_health_in_shape_and_word_and_the_metric_that_matters(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "status")

    assert said.code == 0
    assert "all well · mode approve" in said.out
    row = next(line for line in said.out.splitlines() if line.startswith("cache "))
    assert "● HEALTHY" in row
    assert "used memory" in row


def test_status_shows_the_worst_and_says_how_many_more_there_are(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "status", "--limit", "1").out
    assert sum(line.startswith(tuple(f"{name} " for name in shop.redis)) for line in said.splitlines()) == 1
    assert "3 watched" in said
    assert "… and 2 more, none of them worse: `watchkeeper status --limit 0`" in said


def test_status_reads_as_many_pages_as_there_are(shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_status, "PAGE", 2)
    for limit in ("0", "3"):
        page = run("status", "--json", "--limit", limit, *shop.where).json
        assert sorted(item["slug"] for item in page["items"]) == sorted(shop.redis)
        assert page["next"] is None


def test_status_as_json_is_what_the_api_gives(shop: Shop, run: Run) -> None:
    page = run("status", "--json", *shop.where).json

    assert {item["slug"] for item in page["items"]} == set(shop.redis)
    assert page["mode"] == "approve"


@pytest.mark.parametrize("what", list(PATHS))
def test_without_a_server_the_same_is_listed_as_with_one(what: str, shop: Shop, run: Run) -> None:
    served = run(*shop.where, what, "--json").json
    settings = load_settings(shop.up.data.parent / "watchkeeper.yaml")

    assert json.loads(json.dumps(here(settings, what))) == served


def test_without_a_server_the_same_connectors_are_listed_as_with_one(shop: Shop, run: Run) -> None:
    served = run(*shop.where, "connectors", "--json").json["items"]
    installed = here(load_settings(shop.up.data.parent / "watchkeeper.yaml"), "connectors")["items"]
    watches = {"resources": 0, "standing": "good"}  # what runs may have quarantined one; here none does anything

    assert [one | watches for one in installed] == [one | watches for one in served]


def test_what_is_unwell_is_explained_with_what_it_would_do_and_how_to_do_it_by_hand(shop: Shop, run: Run) -> None:
    with shop.stuck("cache") as (approval, incident):
        status = run(*shop.where, "status")
        waiting = run(*shop.where, "approvals")
        story = run(*shop.where, "show", incident)
        shop.up.until_line(f"watchkeeper approve {approval}")
        rejected = run(*shop.where, "reject", approval, "--note", "not now")

    assert "✖ FAILED" in status.out
    assert status.out.index("✖ FAILED") < status.out.index("● HEALTHY")
    assert "Cause: A script or function runs and blocks the server." in status.out
    assert re.search(r"redis_script_kill on \S+  \[disruptive\]", status.out)
    assert "SCRIPT KILL" in next(line for line in status.out.splitlines() if "by hand:" in line)
    assert "? ask (mode/approve)" in status.out
    assert f"watchkeeper approve {approval}" in status.out
    assert approval in waiting.out
    assert f"watchkeeper approve {approval}" in waiting.out
    assert "redis-busy-script on" in story.out
    assert rejected.code == 0
    assert rejected.out.startswith("rejected: redis_script_kill")


def test_what_a_person_approves_is_carried_out_and_reported(shop: Shop, run: Run, tmp_path: Path) -> None:
    with shop.stuck("carts") as (approval, incident):
        approved = run(*shop.where, "approve", incident, "--note", "seen, go ahead")
        again = run(*shop.where, "approve", approval)
        shop.closed(incident)

    story = run(*shop.where, "show", incident)
    written = tmp_path / "report.md"
    report = run(*shop.where, "report", incident, "--output", str(written))
    as_json = run(*shop.where, "report", incident, "--format", "json").json
    listed = run(*shop.where, "incidents")

    assert approved.code == 0
    assert "It is carried out now." in approved.out
    assert again.code == 2
    assert "waits no more" in again.err
    assert "● healed" in story.out, story.out
    assert "✓ done  redis_script_kill" in story.out
    assert "proof:" in story.out
    assert story.out.count("good looks in a row") == 1
    fix = run(*shop.where, "show", incident, "--json").json["fixes"][0]["id"]
    alone = run(*shop.where, "show", fix).out
    assert "✓ done  redis_script_kill" in alone
    assert f"watchkeeper show {incident}" in alone
    assert "watchkeeper undo" not in story.out  # a script that was ended has no undo
    assert "approved by person:" in story.out
    assert story.out.count(": seen, go ahead") == 2  # with the fix, and in the time line
    assert ": seen, go ahead" in written.read_text()
    assert any(event["data"].get("note") == "seen, go ahead" for event in as_json["events"])
    told = [line for line in shop.up.lines if approval in line or incident in line or "redis_script_kill" in line]
    assert not any("fix.step.acting" in line or "incident.verifying" in line for line in told)
    assert any("fix.step.done" in line for line in told)
    assert (report.code, report.out) == (0, "")
    assert f"# {incident}: redis-busy-script on carts" in written.read_text()
    assert as_json["incident"]["outcome"] == "healed"
    assert any(incident in line and "● healed" in line for line in listed.out.splitlines())


def test_fix_without_a_resource_takes_the_one_that_is_unwell_and_follows_it_until_it_is_well(
    shop: Shop, run: Run
) -> None:
    with shop.stuck("sessions"):
        said = run(*shop.where, "fix")

    assert said.code == 0, said
    assert "fix.step.done" in said.out
    assert "waits for the proof" in said.out
    assert said.out.rstrip().endswith("Healed.")


def test_what_can_be_taken_back_is_told_with_the_command_as_long_as_it_would_be(shop: Shop, run: Run) -> None:
    done = run(*shop.where, "tools", "call", "redis_set_maxmemory", "cache", "value=134217728")
    assert done.code == 0, done
    (line,) = (line for line in done.out.splitlines() if "takes it back" in line)
    fix = line.split("`")[1].split()[-1]
    assert line == f"`watchkeeper undo {fix}` takes it back."
    assert f"  {line}\n" in run(*shop.where, "show", fix).out

    taken = run(*shop.where, "undo", fix)

    assert taken.code == 0, taken
    assert "takes it back" not in taken.out + run(*shop.where, "show", fix).out


def test_fix_leaves_a_healthy_system_alone(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "fix")

    assert (said.code, said.out) == (0, "Nothing is wrong: a healthy system is left alone.\n")


def test_a_look_up_prints_its_output(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "tools", "call", "redis_info", "cache", "section=memory")

    assert said.code == 0
    assert int(said.json["used_memory"]) > 0


def test_a_change_asked_for_by_hand_is_followed_to_its_verdict(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "tools", "call", "redis_set_maxmemory", "cache", "value=209715200")

    assert said.code == 0, said
    assert "fix.step.done" in said.out
    assert "Carried out: nothing was wrong before, and it is still well" in said.out
    with shop.redis["cache"].client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": "209715200"}


def test_an_argument_out_of_bounds_is_refused_with_its_bounds(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "tools", "call", "redis_set_maxmemory", "cache", "value=5")

    assert said.code == 2
    assert "greater than or equal to 1048576" in said.err
    assert "watchkeeper tools show redis_set_maxmemory" in said.err
    assert "Traceback" not in said.err


def test_an_unknown_resource_names_the_nearest(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "fix", "cahce")

    assert said.code == 2
    assert "did you mean 'cache'?" in said.err


def test_an_unknown_tool_names_the_nearest(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "tools", "call", "redis_infos", "cache")

    assert said.code == 2
    assert "did you mean 'redis_info'?" in said.err


def test_pause_is_shown_and_resume_ends_it(shop: Shop, run: Run) -> None:
    run(*shop.where, "pause")
    paused = run(*shop.where, "status").out
    refused = run(*shop.where, "tools", "call", "redis_set_maxmemory", "cache", "value=419430400")
    run(*shop.where, "resume")

    assert "PAUSED BY" in paused
    assert refused.code == 2
    assert "watchkeeper resume" in refused.err
    assert "PAUSED BY" not in run(*shop.where, "status").out


def test_without_the_token_one_may_only_look(shop: Shop, run: Run, tmp_path: Path) -> None:
    elsewhere = ("--data", str(tmp_path), "--url", f"http://127.0.0.1:{shop.up.port}")

    assert run(*elsewhere, "status").code == 0
    refused = run(*elsewhere, "pause")
    assert refused.code == 2
    assert "Without the operator's token one may only look." in refused.err
    assert f"No token can be read from {tmp_path}/token." in refused.err
    assert "--data DIR" in refused.err
    assert "Authorization" not in refused.err

    (tmp_path / "token").write_text("another")
    wrong = run(*elsewhere, "pause")
    assert "The token is not known" in wrong.err
    assert f"The token was read from {tmp_path}/token." in wrong.err


def test_a_report_without_a_time_is_on_the_last_day_and_says_so(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "report")

    assert said.code == 0
    assert said.err.startswith("The last 24 hours;")
    assert said.out.startswith("*Watchkeeper, ")


def test_an_unknown_incident_is_told_in_two_lines(shop: Shop, run: Run) -> None:
    said = run(*shop.where, "show", "inc-nope")

    assert said.code == 2
    assert said.err == ("watchkeeper: There is no incident inc-nope.\n`watchkeeper incidents` lists what there is.\n")


def test_a_look_up_that_fails_says_why_and_is_no_bug(shop: Shop, run: Run) -> None:
    with shop.stuck("cache"):
        said = run(*shop.where, "tools", "call", "redis_slowlog", "cache")

    assert said.code == 2
    assert "A script blocks the server." in said.err


def test_the_map_shows_what_stands_alone_and_the_same_as_the_api(shop: Shop, run: Run) -> None:
    drawn = run(*shop.where, "map")
    page = run(*shop.where, "map", "--json").json

    assert all(re.search(rf"^\W*{name}\b", drawn.out, re.MULTILINE) for name in shop.redis), drawn.out
    assert {node["slug"] for node in page["nodes"]} == set(shop.redis)
    assert run(*shop.where, "map", "--format", "dot").out.startswith("digraph watchkeeper {")
    assert run(*shop.where, "map", "--format", "mermaid").out.startswith("flowchart TD")
    assert run(*shop.where, "map", "cahce").code == 2
