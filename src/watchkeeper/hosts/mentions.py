"""Servers that environment variables name: URLs, `host:port`, `*_HOST` with `*_PORT`, DSNs of drivers. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "postgres": 5432,
    "postgresql": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "mongodb": 27017,
    "amqp": 5672,
    "amqps": 5671,
    "nats": 4222,
    "kafka": 9092,
    "memcached": 11211,
    "http": 80,
    "https": 443,
    "grpc": 443,
    "elasticsearch": 9200,
}
"""What a URL without a port means."""

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://([^/\s?#\"']+)")
_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_PAIR = re.compile(rf"^({_NAME}):(\d{{1,5}})$")
_BARE = re.compile(rf"^{_NAME}$")
_GO_DSN = re.compile(r"@tcp\(([^)\s]+)\)")
_WORDS = re.compile(r"\b(host|hostaddr|port)\s*=\s*'?([^\s';]+)", re.IGNORECASE)
_HOST_VARIABLE = re.compile(r"(?i)(?:^|_)(HOST|HOSTNAME|HOSTS|ADDR|ADDRESS|SERVER|SERVERS|ENDPOINT|BROKERS?|NODES?)$")
_CROWD = re.compile(r"_SERVICE_HOST$|_PORT_\d+_(?:TCP|UDP)_ADDR$")
"""Kubernetes and Docker's links set these for every service there is: that says nothing of who uses it."""
_OWN = ("HOSTNAME", "HOST")
"""One's own name, or the address one listens at."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A variable that names a server. `scheme` is that of a URL or DSN; without one it may be something else
    (`IMAGE=redis:7`)."""

    variable: str
    host: str
    port: int | None = None
    scheme: str = ""


def mentions(variables: Mapping[str, str]) -> list[Mention]:
    """Every server named, once for each variable; never any part of a value but host and port."""
    found = [
        mention
        for variable, value in variables.items()
        if value and not _CROWD.search(variable) and variable not in _OWN
        for mention in _in_value(variable, value, variables)
    ]
    return list(dict.fromkeys(found))


def _in_value(variable: str, value: str, variables: Mapping[str, str]) -> Iterator[Mention]:
    urls = list(_URL.finditer(value))
    for url in urls:
        scheme = url[1].lower().partition("+")[0]
        for host, port in _hosts(url[2].rpartition("@")[2]):
            yield Mention(variable, host, port or PORTS.get(scheme), scheme)
    for dsn in _GO_DSN.finditer(value):
        for host, port in _hosts(dsn[1]):
            yield Mention(variable, host, port or PORTS["mysql"], "mysql")
    words = {name.lower(): said for name, said in _WORDS.findall(value)}
    if host := words.get("host") or words.get("hostaddr"):
        yield from (
            Mention(variable, h, p or _port(words.get("port")) or PORTS["postgresql"], "postgresql")
            for h, p in _hosts(host)
        )
    if urls or words or _GO_DSN.search(value):
        return
    parts = [part.strip() for part in value.split(",")]
    if all(_PAIR.match(part) for part in parts):
        yield from (Mention(variable, host, port) for part in parts for host, port in _hosts(part))
    elif (match := _HOST_VARIABLE.search(variable)) and all(_BARE.match(part) for part in parts):
        sibling = variables.get(f"{variable[: match.start(1)]}PORT", "")
        yield from (Mention(variable, part.strip("[]"), _port(sibling)) for part in parts)


def _hosts(authority: str) -> Iterator[tuple[str, int | None]]:
    """`a:1,b` → (a, 1), (b, None)."""
    for part in authority.split(","):
        if match := _PAIR.match(part):
            yield match[1].strip("[]"), _port(match[2])
        elif _BARE.match(part):
            yield part.strip("[]"), None


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() and 0 < int(text) < 65536 else None
