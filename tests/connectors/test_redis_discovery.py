"""Which Redis servers are found, under what names; and how keys are matched."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from redis_fixtures import MakeServer, ProcessHost

from watchkeeper.connectors.redis import access, connector
from watchkeeper.connectors.redis.figures import clients, crowd, peer
from watchkeeper.connectors.redis.keys import matcher
from watchkeeper.domain import ConfigurationError, Host, NotFound, Resource


class Named(ProcessHost):
    """A host with these labels and commands."""

    def __init__(self, name: str, commands: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.id = self.incarnation = f"id-{name}"
        self.labels = labels or {}
        self.commands = commands

    async def processes(self) -> Sequence[str]:
        return self.commands

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", 6379)]


class Broken(Named):
    async def processes(self) -> Sequence[str]:
        raise NotFound("It was removed meanwhile.")


async def found(hosts: Sequence[Host], *entries: Any) -> list[Resource]:
    return [resource async for resource in connector.discover(hosts, {"resources": list(entries)})]


NAMED = {"name": "far", "kind": "redis", "url": "redis://10.255.0.1:6380", "environment": "staging", "act": True}


async def test_servers_are_found_by_their_process_whatever_they_are_called() -> None:
    labels = {"watchkeeper.environment": "lab", "watchkeeper.act": "true", "watchkeeper.redis.cache-keys": "page:*"}
    hosts = [
        Named("sessions", ["redis-server *:6379"], labels),
        Named("kv", ["sh -c exec valkey-server /etc/valkey.conf"]),
        Named("stopped", ["docker-entrypoint.sh redis-server --save"]),
        Named("sentinel", ["redis-server *:26379 [sentinel]"]),
        Named("client", ["redis-cli -h redis-server"]),
        Named("shop", ["python shop.py --redis redis-server:6379"]),
        Broken("gone", []),
    ]
    resources = await found(hosts)
    assert [resource.id for resource in resources] == [
        "docker/lab/redis/sessions",
        "docker/production/redis/kv",
        "docker/production/redis/stopped",
    ]
    first = resources[0]
    assert first.runs_on == "docker/lab/container/sessions"
    assert first.settings == {"cache_keys": "page:*"}
    assert (first.may_act, resources[1].may_act) == (True, False)
    assert first.incarnation == hosts[0].incarnation


async def test_a_server_named_in_the_settings_is_found() -> None:
    (resource,) = await found([], NAMED | {"password": "env:FAR", "settings": {"cache_keys": "a:*"}})
    assert resource.id == "remote/staging/redis/far"
    assert resource.may_act
    assert resource.settings == {"url": NAMED["url"], "password": "env:FAR", "cache_keys": "a:*"}
    assert resource.runs_on is None


async def test_an_entry_without_a_url_is_about_a_server_found_elsewhere() -> None:
    assert [r.name for r in await found([Named("cache", ["redis-server"])], {"name": "cache", "kind": "redis"})] == [
        "cache"
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"url": "http://10.0.0.1"}, "no address of a Redis"),
        ({"url": "redis://:hunter2@10.0.0.1"}, "contains a password"),
        ({"url": "redis://10.0.0.1:port"}, "not a number"),
        ({"settings": {"cache_keys": 5}}, "cache_keys must be globs"),
    ],
)
async def test_settings_that_are_not_valid_are_errors_that_show_no_secret(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as problem:
        await found([], NAMED | entry)
    assert said in str(problem.value)
    assert "hunter2" not in str(problem.value)


async def test_the_password_of_a_command_line_is_understood() -> None:
    host = Named("cache", ["sh -c 'redis-server --requirepass $SECRET'"])
    host.variables = {"SECRET": "x1"}
    assert await access.password(Resource("docker/lab/redis/cache", "cache"), host) == "x1"


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("redis-server *:6390", 6390),
        ("redis-server 127.0.0.1:6391 [cluster]", 6391),
        ("/usr/bin/redis-server --port 6392", 6392),
        ("redis-server", 6379),
    ],
)
def test_the_port_is_read_from_the_process(command: str, port: int) -> None:
    assert access.port([command]) == port


async def test_a_server_that_is_gone_does_not_end_discovery(server: MakeServer) -> None:
    one = await server()
    resources = await found([Broken("gone", []), ProcessHost(one)])
    assert [resource.name for resource in resources] == ["process"]


@pytest.mark.parametrize("glob", ["page:*", "p?ge:1", "page:[0-9]", "page:[^a]", "*", "a.b+c", "page:\\*", "[a"])
async def test_globs_match_as_redis_matches(server: MakeServer, glob: str) -> None:
    one = await server()
    names = ["page:", "page:1", "page:a", "page:12", "pagee1", "a.b+c", "aXbbc", "page:*", "[a", "x\ny"]
    for name in names:
        one.cli("SET", name, "1")
    theirs = [
        name
        for name in names
        if one.cli("EVAL", "return #redis.call('keys', ARGV[1])", "0", glob)
        and (
            name
            in one.cli("--raw", "EVAL", "return table.concat(redis.call('keys', ARGV[1]), '|')", "0", glob).split("|")
        )
    ]
    ours = [name for name in names if matcher([glob]).fullmatch(name)]
    assert ours == theirs


def test_no_patterns_match_nothing() -> None:
    assert matcher([]).fullmatch("") is None
    assert fnmatch.fnmatch("", "*")  # unlike a glob, which would match the empty name


def test_the_crowd_is_of_idle_plain_clients() -> None:
    line = "id={} addr={} name={} idle={} flags={} sub=0 psub=0 multi=-1"
    listed = clients(
        "\n".join(
            [
                line.format(1, "10.0.0.1:1", "", 9, "N"),
                line.format(2, "10.0.0.1:2", "", 7, "N"),
                line.format(3, "10.0.0.2:1", "", 0, "N"),
                line.format(4, "10.0.0.3:1", "", 9, "S"),
                line.format(5, "10.0.0.4:1", "watchkeeper", 9, "N"),
            ]
        )
    )
    top = crowd(listed)
    assert top is not None
    assert (top.address, top.connections, top.idle_seconds) == ("10.0.0.1", 2, 8)
    assert crowd([]) is None
    assert [peer(a) for a in ("[::1]:5", "[::ffff:10.0.0.1]:5", "10.0.0.1:5")] == ["::1", "10.0.0.1", "10.0.0.1"]
