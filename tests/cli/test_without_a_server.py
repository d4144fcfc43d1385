"""What works, and what is said, where no server runs."""

import doctest
import importlib
import logging
import socket
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import Run
from tests.conftest import RedisServer
from tests.watch.fakes import Scripted
from watchkeeper.cli import app as command_line
from watchkeeper.cli.logs import demoted
from watchkeeper.cli.named import unknown_settings
from watchkeeper.connectors import Registry
from watchkeeper.connectors.definitions import parse_runbook
from watchkeeper.connectors.docker import connector
from watchkeeper.settings import ResourceSettings

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("module", ["cli.options", "cli.screen", "cli.suggesting", "cli.tools", "domain.when"])
def test_examples_in_docstrings_are_true(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"watchkeeper.{module}"))

    assert result.attempted
    assert not result.failed


def test_looking_at_status_loads_neither_the_engine_of_workflows_nor_the_web_framework() -> None:
    code = (
        "import sys; sys.argv = ['watchkeeper', 'status', '--url', 'http://127.0.0.1:1']\n"
        "from watchkeeper.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'dbos', 'fastapi', 'cel', 'sqlalchemy', 'pydantic_ai'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["status"], ["incidents"], ["fix", "cache"], ["pause"], ["approve", "apr-1"]])
def test_a_command_that_needs_a_server_says_how_to_start_one(command: list[str], run: Run) -> None:
    said = run("--url", NOWHERE, *command)

    assert said.code == 2
    assert said.err.splitlines() == [
        f"watchkeeper: No server runs at {NOWHERE}.",
        "`watchkeeper up` starts it; --url names another one.",
    ]


def test_check_counts_what_is_fine(run: Run) -> None:
    said = run("check")

    registry = Registry.installed()
    assert said.code == 0
    assert f"{len(registry.rules)} rules, {len(registry.runbooks)} runbooks" in said.out


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("mdoe: auto", "unknown key `mdoe` (did you mean `mode`?)"),
        ("watch: {intervall: 2}", "unknown key `watch.intervall` (did you mean `interval`?)"),
        ("watch: {interval: soon}", "`watch.interval`"),
        ("watch: [1", "watchkeeper.yaml:1:10 is not valid YAML: while parsing a flow sequence, "),
        ("- a list", "must be a mapping"),
        ("rules: {redis-memory-ful: {enabled: false}}", "did you mean `redis-memory-full`?"),
        ("rules: {redis-memory-full: {when: 'reading.used_ratio > 1.0'}}", "rules, redis-memory-full: The expression"),
        ("rules: {redis-memory-full: {for: soon}}", "'soon' is not a duration"),
        ("resources: [{name: cache, kind: redsi}]", "did you mean `redis`?"),
        ("resources: [{name: cache, url: 'redis://127.0.0.1:1'}]", "no `kind`"),
        ("resources: [{name: cache, kind: redis, url: 'http://127.0.0.1'}]", "is no address of a Redis"),
        ("resources: [{name: cache, kind: redis, password: hunter2}]", "credentials are references"),
        ("resources: [{name: cache, kind: redis, settings: {cache_kyes: 'page:*'}}]", "did you mean `cache_keys`?"),
        ("resources: [{name: shop, kind: http, settings: {helth: /healthz}}]", "did you mean `health`?"),
        ("policy: {cedar: nowhere.cedar}", "nowhere.cedar cannot be read"),
        ("policy: {table: {lab: {destroy: allow}}}", "policy.table.lab"),
        ("notify: {webhook: {url: nowhere}}", "notify.webhook.url is no URL"),
        ("notify: {channels: [{name: a, kind: pagerduty, key: hunter2}]}", "credentials are references"),
        ("notify: {channels: [{name: a, kind: pagerduty, kee: env:K}]}", "did you mean `key`?"),
        ("notify: {channels: [{name: a, kind: pager}]}", "'webhook', 'pagerduty', 'mail', 'slack', 'apprise'"),
        ("notify: {channels: [{name: a, kind: slack, token: env:T}]}", "`token` and `channel` go together"),
    ],
)
def test_check_finds_what_is_wrong(written: str, expected: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(written)

    said = run("check")

    assert said.code == 2
    assert expected in said.out
    assert "hunter2" not in said.out


def test_check_names_the_file_it_read_and_warns_of_an_environment_without_a_row_in_the_policy(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(
        "resources: [{name: a, environment: staging-2}, {name: b, environment: own}]\n"
        "policy: {table: {own: {read: ask}}}"
    )

    said = run("check")

    assert said.code == 0
    assert "▲ resources, a: the policy has no row for the environment `staging-2`" in said.out
    assert "`own`" not in said.out
    assert f"Fine but for ▲: {tmp_path}/watchkeeper.yaml" in said.out


@pytest.mark.parametrize("misspelt", ["stagng", "stagging", "Staging", "prodution"])
def test_check_fails_for_an_environment_that_can_only_be_a_known_one_misspelt(
    run: Run, tmp_path: Path, misspelt: str
) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(f"resources: [{{name: a, environment: {misspelt}}}]\n")
    said = run("check")
    assert said.code == 2
    assert f"✖ resources, a: the policy has no row for the environment `{misspelt}` (did you mean" in said.out


def test_settings_of_a_connector_that_does_not_say_which_it_knows_are_not_judged() -> None:
    registry = Registry((Scripted(),))
    named = ResourceSettings(name="a", kind=Scripted().kind, settings={"anything": 1})

    assert list(unknown_settings(named, registry)) == []


def test_doctor_names_an_entry_that_matches_nothing_and_what_was_most_likely_meant(
    run: Run, tmp_path: Path, redis_server: RedisServer
) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(
        "only: [local/production/redis/newc-cache]\nhosts: {local: {enabled: false}}\nresources:\n"
        f"  - {{name: newc-cache, kind: redis, url: '{redis_server.url}'}}\n"
        "  - {name: newc-cahce, act: true}\n  - {name: gone-*, ignore: true}\n  - {name: ranker, kind: model}\n"
    )

    said = run("doctor", "--url", NOWHERE)

    assert '▲ missing resources     "newc-cahce" matches nothing that was found; did you mean "newc-cache"?' in said.out
    assert '"newc-cache" matches' not in said.out
    assert "gone-*" not in said.out
    assert "ranker" not in said.out, "the server alone hears of models"


def test_check_finds_a_policy_in_cedar_that_does_not_validate(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text("permit(principal, action, resource) when { resource.nope };")
    (tmp_path / "watchkeeper.yaml").write_text("policy: {cedar: own.cedar}")

    said = run("check")

    assert said.code == 2
    assert "The policy is not valid" in said.out


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("when: 'true'\ncause: c\nladder: [[{tool: docker_strat}]]", "did you mean `docker_stats`?"),
        ("when: 'alerts.exists('\ncause: c\nladder: []", "is not valid CEL"),
    ],
)
def test_check_names_a_connector_whose_runbook_is_broken(
    front: str, expected: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed() -> Registry:
        registry = Registry((connector,))
        with pytest.raises(Exception, match="runbook mine") as problem:
            parse_runbook(
                f"---\n{front}\n---\n", name="mine", kind="container", sample=connector.sample, tools=connector.tools
            )
        registry.broken["mine"] = str(problem.value)
        return registry

    monkeypatch.setattr(Registry, "installed", staticmethod(installed))
    said = run("check")

    assert said.code == 2
    assert "connector mine: runbook mine:" in said.out
    assert expected in said.out


def test_doctor_says_what_is_missing_and_what_to_do(run: Run) -> None:
    said = run("doctor", "--url", NOWHERE)

    assert said.code == 0
    assert "▲ missing server        No server runs" in said.out
    assert "▲ missing Docker" in said.out
    assert "set DOCKER_HOST" in said.out
    assert "● ok      data" in said.out


def test_doctor_tells_a_credential_that_cannot_be_followed_from_what_is_merely_missing(
    run: Run, tmp_path: Path
) -> None:
    content = "resources: [{name: cache, kind: redis, url: 'redis://127.0.0.1:1', password: 'env:NO_SUCH_VARIABLE'}]"
    (tmp_path / "watchkeeper.yaml").write_text(content)

    said = run("doctor", "--url", NOWHERE)

    assert said.code == 2
    assert "✖ broken  credentials   cache: The environment variable NO_SUCH_VARIABLE is not set." in said.out


def test_doctor_goes_on_where_the_configuration_is_broken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.yaml").write_text("mdoe: auto")

    said = run("doctor", "--json")

    assert said.code == 2
    states = {finding["subject"]: finding["state"] for finding in said.json}
    assert states["configuration"] == "broken"
    assert states["connectors"] == "ok"


def test_a_runbook_is_shown_with_its_ladder_and_page(run: Run) -> None:
    said = run("runbooks", "show", "container-killed")

    assert said.code == 0
    assert "Rung 1: docker_start" in said.out
    assert "**Mitigation.**" in said.out


def test_an_unknown_runbook_names_the_nearest(run: Run) -> None:
    said = run("runbooks", "show", "container-kiled")

    assert said.code == 2
    assert "did you mean 'container-killed'?" in said.err


def test_a_tool_is_shown_with_its_bounds(run: Run) -> None:
    said = run("tools", "show", "redis_set_maxmemory")

    assert "integer" in said.out
    assert "≥ 1048576" in said.out
    assert "integer; bytes, or 64mb" in said.out
    assert "has an undo" in said.out


def test_a_rule_is_shown_with_why_it_matters_and_where_that_comes_from(run: Run) -> None:
    said = run("rules", "show", "redis-memory-full")
    unknown = run("rules", "show", "redis-memory-ful")

    assert "reading.used_memory_ratio" in next(line for line in said.out.splitlines() if line.startswith("When:"))
    assert "Source:" in said.out
    assert "Runbook: memory-full" in said.out
    assert "did you mean 'redis-memory-full'?" in unknown.err


def test_tools_are_listed_with_whole_sentences(run: Run) -> None:
    lines = [line for line in run("tools").out.splitlines() if line.startswith(("redis_", "docker_", "nginx_"))]

    assert lines
    assert [line for line in lines if not line.rstrip().endswith(".")] == []


@pytest.mark.parametrize("command", [["silence", "add", "all"], ["maintenance", "start", "all"]])
def test_a_length_of_time_that_is_none_is_refused_with_an_example(command: list[str], run: Run) -> None:
    said = run("--url", NOWHERE, *command, "--for", "5x")

    assert said.code == 2
    assert said.err == "watchkeeper: --for: '5x' is not a duration.\nFor example --for 30m, 2h or 1d.\n"


def test_a_url_that_is_none_is_refused_with_an_example(run: Run) -> None:
    said = run("status", "--url", "nonsense")

    assert said.code == 2
    assert "'nonsense' is no URL" in said.err
    assert "--url http://127.0.0.1:8000" in said.err


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages bring commands; one of them is broken."""
    entries = [
        EntryPoint("hello", "tests.cli.test_without_a_server:hello", command_line.GROUP),
        EntryPoint("torn", "tests.cli.test_without_a_server:nothing_there", command_line.GROUP),
        EntryPoint("status", "tests.cli.test_without_a_server:hello", command_line.GROUP),
    ]
    monkeypatch.setattr(command_line, "entry_points", lambda group: entries)
    monkeypatch.setattr(command_line.app, "registered_commands", list(command_line.app.registered_commands))
    monkeypatch.setattr(command_line.app, "registered_groups", list(command_line.app.registered_groups))


hello = typer.Typer()


@hello.command()
def world(json: bool = False) -> None:
    typer.echo(f"hello {json}")


@pytest.mark.usefixtures("installed")
def test_a_command_of_another_package_runs_with_its_own_options(run: Run) -> None:
    assert run("hello", "world", "--json").out == "hello True\n"


@pytest.mark.usefixtures("installed")
def test_a_command_that_cannot_be_loaded_is_left_out_with_a_line_that_says_so(run: Run) -> None:
    said = run("torn")

    assert said.code == 2
    assert "`torn` of tests.cli.test_without_a_server is left out: AttributeError" in said.err
    assert "Traceback" not in said.err


def test_the_least_rights_are_printed_for_what_is_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(
        "resources: [{name: cache, kind: redis, username: keeper, settings: {cache_keys: 'page:*'}}]\n"
    )
    looks = run("doctor", "--rights", "--for", "watch", "--as", "acl")
    flush = run("doctor", "--rights", "--for", "redis_flush", "--as", "acl")

    assert looks.out.startswith("ACL SETUSER keeper reset on >PASSWORD +ping +info")
    assert "unlink" not in looks.out
    assert "+scan " in flush.out
    assert flush.out.strip().endswith("(%W~page:* +unlink)")


def test_the_role_and_the_line_for_sudo_are_those_of_the_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(
        "hosts: {ssh: [{name: db1, user: keeper, services: [cart, 'w*']}], local: {services: [queue.service]}}\n"
        "resources: [{name: orders, kind: postgres, url: 'postgresql://10.0.0.5/Shop', username: eye}]\n"
    )
    role = run("doctor", "--rights", "--for", "postgres_kill_blocker", "--as", "sql").out
    lines = run("doctor", "--rights", "--for", "redis_restart", "--as", "sudoers").out

    assert "CREATE ROLE eye LOGIN PASSWORD 'PASSWORD';" in role
    assert 'GRANT CONNECT, TEMPORARY ON DATABASE "Shop" TO eye;' in role
    assert "GRANT pg_read_all_stats, pg_read_all_settings, pg_signal_backend TO eye;" in role
    assert "ALTER SYSTEM" not in role
    assert "watchkeeper ALL=(root) NOPASSWD: /usr/bin/systemctl restart -- queue.service" in lines
    assert "keeper ALL=(root) NOPASSWD: /usr/bin/systemctl restart -- cart.service" in lines
    assert "w*" not in lines


def test_rights_for_what_is_not_there_are_refused_with_the_nearest_name(run: Run) -> None:
    said = run("doctor", "--rights", "--for", "redis_flsh")

    assert said.code == 2
    assert "did you mean 'redis_flush'?" in said.err


def test_doctor_says_which_right_is_missing_and_the_line_that_gives_it(
    run: Run, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_PASSWORD", "hunter22")
    (tmp_path / "watchkeeper.yaml").write_text(
        "only: [local/*/redis/cache]\nresources:\n"
        f"  - {{name: cache, kind: redis, url: '{redis_server.url}', username: keeper, password: 'env:CACHE_PASSWORD',"
        " act: true, settings: {cache_keys: 'page:*'}}\n"
    )
    line = run("doctor", "--rights", "--as", "acl").out.strip().replace(">PASSWORD", ">hunter22")
    with redis_server.client() as client:
        client.execute_command(*line.replace("+config|set ", "").split())

        lacking = run("doctor", "--url", NOWHERE).out
        assert (
            "▲ missing cache         as the user keeper; can look: ✓; can probe: ✓; can act: lacks `config|set`"
            in lacking
        )
        assert "ACL SETUSER keeper +config|set" in lacking
        client.execute_command("ACL", "SETUSER", "keeper", "+config|set")
        assert "▲ missing cache" not in run("doctor", "--url", NOWHERE).out

        client.execute_command("ACL", "SETUSER", "keeper", "+@all", "~*")
        assert "▲ more    cache         its user may also: flushall, shutdown" in run("doctor", "--url", NOWHERE).out
        assert "▲ more    cache" not in run("doctor", "--only", "other", "--url", NOWHERE).out
    assert "hunter22" not in lacking


def test_doctor_names_a_machine_that_cannot_be_reached_and_what_to_do_about_its_host_key(
    run: Run, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    said = f"hosts: {{local: {{enabled: false}}, ssh: [{{name: db1, address: 127.0.0.1, port: {port}}}]}}"
    (tmp_path / "watchkeeper.yaml").write_text(said)
    done = run("--json", "doctor")
    (found,) = [finding for finding in done.json if finding["subject"] == "hosts"]
    assert found["state"] == "broken"
    assert f"db1 (127.0.0.1, port {port}) cannot be reached over SSH" in found["found"]


def test_what_libraries_warn_of_and_is_harmless_is_no_warning() -> None:
    def level(name: str, text: str) -> int:
        return demoted(logging.LogRecord(name, logging.WARNING, "", 0, text, (), None)).levelno

    assert level("dbos", "Workflow already exists in queue: a, but the provided queue name is: b.") == logging.DEBUG
    assert level("psycopg", "query cancellation interrupted (x): closing connection") == logging.DEBUG
    assert level("dbos", "The database is gone") == logging.WARNING
