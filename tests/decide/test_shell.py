"""The commands a person would type instead: they can be pasted, and do what is meant."""

import subprocess

from tests.domain.making import resource
from watchkeeper.connectors.postgres import connector as postgres
from watchkeeper.connectors.redis import connector as redis
from watchkeeper.decide.shell import by_hand, example
from watchkeeper.domain import Tool

TOOLS: dict[str, "Tool[object]"] = {tool.name: tool for one in (postgres, redis) for tool in one.tools}


def typed(command: str) -> list[str]:
    """What `docker` would be given, by a real shell."""
    told = subprocess.run(
        ["sh", "-c", f"docker() {{ printf '%s\\0' \"$@\"; }}; {command}"], capture_output=True, check=True
    )
    return told.stdout.decode().split("\0")[:-1]


def test_a_statement_bears_the_role_the_database_and_literals_that_cannot_break_out() -> None:
    given = {"application": "o'hara $(rm x)", "user": 'a"b', "min_seconds": 5.0}
    where = resource("orders", kind="postgres", runs_on="docker/lab/container/orders")
    facts = {"login": "shop", "database": "tickets"}
    words = typed(by_hand(TOOLS["postgres_kill_idle_sessions"], where, given, facts))
    assert words[:8] == ["exec", "orders", "psql", "-U", "shop", "-d", "tickets", "-c"]
    assert words[8].startswith("SELECT pg_terminate_backend(pid)")
    assert "application_name = 'o''hara $(rm x)' AND usename = 'a\"b'" in words[8]
    assert "secs => 5.0" in words[8]


def test_what_is_true_or_not_is_written_as_a_server_knows_it() -> None:
    given = {"min_seconds": 60.0, "only_blocking": False, "application": "", "user": ""}
    where = resource("orders", kind="postgres", runs_on="docker/lab/container/orders")
    assert "(NOT false OR" in typed(by_hand(TOOLS["postgres_kill_idle_in_transaction"], where, given, {}))[8]


def test_a_password_is_taken_from_where_it_is_kept_and_never_said() -> None:
    maxmemory = TOOLS["redis_set_maxmemory"]
    boxed = resource(
        "cache", runs_on="docker/lab/container/cache", settings={"password": "env:CACHE", "username": "ops"}
    )
    said = by_hand(maxmemory, boxed, {"value": 5}, {})
    inside = "docker exec -e REDISCLI_AUTH cache redis-cli --user ops"
    assert said == f'export REDISCLI_AUTH="$CACHE"; {inside} CONFIG SET maxmemory 5'
    far = resource("cache", settings={"password": "file:/run/my secret", "url": "redis://10.0.0.5:6390"})
    said = by_hand(maxmemory, far, {"value": 5}, {})
    assert said == (
        "export REDISCLI_AUTH=\"$(cat '/run/my secret')\"; redis-cli -h 10.0.0.5 -p 6390 CONFIG SET maxmemory 5"
    )
    orders = resource("orders", kind="postgres", runs_on="docker/lab/container/orders", settings={"password": "env:PG"})
    said = by_hand(TOOLS["postgres_activity"], orders, {}, {})
    assert said.startswith('export PGPASSWORD="$PG"; docker exec -e PGPASSWORD orders psql ')


def test_each_declared_pattern_has_its_command() -> None:
    where = resource("cache", runs_on="docker/lab/container/cache")
    said = by_hand(
        TOOLS["redis_expire_cache_keys"], where, {"down_to_ratio": 0.7}, {"cache_keys": "page:*\nthumb:{a}*"}
    )
    inside = "docker exec cache redis-cli"
    assert said == (
        f"{inside} --scan --pattern 'page:*' | xargs -r -n 200 {inside} UNLINK; "
        f"{inside} --scan --pattern 'thumb:{{a}}*' | xargs -r -n 200 {inside} UNLINK"
        "  # removes every one of them; the tool stops at 70% of maxmemory"
    )


def test_a_tool_shows_its_command_without_the_braces_of_a_template() -> None:
    assert example(TOOLS["redis_set_maxmemory"]) == "redis-cli CONFIG SET maxmemory VALUE"
    assert [name for name, tool in TOOLS.items() if set("{}") & set(example(tool))] == []
