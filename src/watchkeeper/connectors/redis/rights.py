"""The least rights of Watchkeeper's user at a Redis: the line that gives them, and which of them it has."""

import re
import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from watchkeeper.connectors.redis import access
from watchkeeper.connectors.redis.figures import info, pairs
from watchkeeper.connectors.redis.read import LOOK, PROBE_READS, PROBE_WRITES
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.trouble import lacking
from watchkeeper.connectors.redis.wire import ServerSaid
from watchkeeper.domain import Held, Resource, Right
from watchkeeper.domain.rights import DECLARED, of_kind

USER = "watchkeeper"
EXAMPLE = ("YOUR-CACHE:*",)
"""Stands for the declared keys where nothing is declared."""

_KEY = object()
_ARGUMENTS: Mapping[str, Sequence[object]] = {
    "client|setname": ("watchkeeper",),
    "config|get": ("save",),
    "config|set": ("maxmemory", "1"),
    "client|kill": ("ID", "1"),
    "slowlog|get": ("1",),
    "scan": ("0",),
    "get": (_KEY,),
    "set": (_KEY, "x"),
    "del": (_KEY,),
    "unlink": (_KEY,),
    "replicaof": ("NO", "ONE"),
}
"""Arguments with which ACL DRYRUN understands a command; the others take none."""
_HARMLESS: Mapping[str, Sequence[object]] = {
    "config|set": ("watchkeeper-no-such-parameter", "1"),
    "client|kill": ("ID", "9223372036854775807"),
    "set": (_KEY, "x", "XX", "EX", "1"),
}
"""The same where it must be tried: a parameter, a client, a key that do not exist."""
_NEVER_TRIED = frozenset({"memory|purge", "script|kill", "function|kill", "replicaof", "bgrewriteaof"})
_BEYOND: Sequence[Sequence[str]] = (
    ("flushall",),
    ("shutdown",),
    ("acl", "setuser", "somebody"),
    ("eval", "return 1", "0"),
    ("get", "some-other-key"),
    ("set", "some-other-key", "x"),
    ("config", "set", "maxmemory", "1"),
)
_ESCAPED = re.compile(r"\\.")
_CLASS = re.compile(r"\[([^\]\\]+)\]")
"""Of a glob of Redis: a character after a backslash stands for itself; one of several."""
_SINCE_7 = frozenset({"function|kill"})


class RedisAccess:
    """Redis 7 and later has selectors: a command on the keys it is for, and on no others. Redis 6 lists both apart."""

    form = "acl"
    look: Sequence[Right] = LOOK

    def probe(self, *, writes: bool) -> Sequence[Right]:
        return PROBE_WRITES if writes else PROBE_READS

    def grant(
        self, rights: Iterable[Right], resource: Resource | None, *, more: bool = False, version: str = ""
    ) -> str:
        """`ACL SETUSER …`, with `>PASSWORD` to be filled in."""
        patterns = access.patterns(resource.settings.get("cache_keys")) if resource else EXAMPLE
        user = str(resource.settings.get("username") or USER) if resource else USER
        said = _rules(expanded(rights, patterns), _major(version))
        if not said:
            return ""
        return " ".join([f"ACL SETUSER {user}", *([] if more else ["reset", "on", ">PASSWORD"]), *said])

    async def held(self, session: RedisSession, rights: Iterable[Right]) -> Held:
        """By ACL DRYRUN or GETUSER where the user may ask; else by commands that change nothing. Raises Trouble."""
        wanted = expanded(rights, session.patterns)
        told = (await session.pipeline([("INFO", "server")]))[0]
        version = info(told).get("redis_version", "") if isinstance(told, str) else ""
        user = (await session.pipeline([("ACL", "WHOAMI")]))[0]
        if isinstance(user, ServerSaid) and not lacking(user):
            note = "this server knows no access lists (before Redis 6): whoever has the password may do everything"
            return Held("everybody", dict.fromkeys(wanted, True), ("everything",), (note,), version)
        name = (
            str(session.resource.settings.get("username") or "default") if isinstance(user, ServerSaid) else str(user)
        )
        tried = (await session.pipeline([("ACL", "DRYRUN", name, "PING")]))[0]
        if not isinstance(tried, ServerSaid):
            return await _by_dry_run(session, name, wanted, version)
        entry = (await session.pipeline([("ACL", "GETUSER", name)]))[0]
        if isinstance(entry, list):
            return _by_entry(name, wanted, pairs(entry), version)  # pyright: ignore[reportUnknownArgumentType]
        return await _by_trying(session, name, wanted, version)


def expanded(rights: Iterable[Right], patterns: Sequence[str]) -> tuple[Right, ...]:
    """The commands among them; what is about declared keys, once for each pattern."""
    found: list[Right] = []
    for right in of_kind(rights, "command"):
        if DECLARED in right.on:
            found += [replace(right, on=right.on.replace(DECLARED, pattern)) for pattern in patterns]
        else:
            found.append(right)
    return tuple(dict.fromkeys(found))


def _major(version: str) -> int:
    head = version.split(".")[0]
    return int(head) if head.isdigit() else 7


def _rules(rights: Sequence[Right], major: int) -> list[str]:
    names = [right.what for right in rights if not right.on and (major >= 7 or right.what not in _SINCE_7)]
    rules = [f"+{name}" for name in dict.fromkeys(names)]
    on: dict[str, dict[str, None]] = {}
    for right in rights:
        if right.on:
            on.setdefault(right.on, {})[right.what] = None
    if major < 7:  # no selectors, and no telling reading from writing
        commands = dict.fromkeys(name for group in on.values() for name in group)
        keys = dict.fromkeys(f"~{pattern.partition('~')[2]}" for pattern in on)
        return [*rules, *(f"+{name}" for name in commands if f"+{name}" not in rules), *keys]
    alike: dict[tuple[str, ...], list[str]] = {}
    for pattern, group in on.items():
        alike.setdefault(tuple(group), []).append(pattern)
    return [*rules, *(f"({' '.join([*keys, *(f'+{name}' for name in names)])})" for names, keys in alike.items())]


async def _by_dry_run(session: RedisSession, name: str, wanted: Sequence[Right], version: str) -> Held:
    rights: dict[Right, bool | None] = {}
    for right in wanted:
        command = _command(right, _ARGUMENTS, matching)  # nothing is carried out: it may be a key that there is
        reply = (await session.pipeline([("ACL", "DRYRUN", name, *command)]))[0] if command else None
        # An error reply is about the command, which this server may not know; a refusal is an answer.
        rights[right] = None if reply is None or isinstance(reply, ServerSaid) else reply == "OK"
    needed = {right.what for right in wanted if not right.on}
    more: list[str] = []
    for command in _BEYOND:
        reply = (await session.pipeline([("ACL", "DRYRUN", name, *command)]))[0]
        said = "|".join(command[:2]) if command[0] in ("acl", "config") else " ".join(command[:2])
        if reply == "OK" and said not in needed:
            more.append(said)
    return Held(f"the user {name}", rights, tuple(more), version=version)


def _by_entry(name: str, wanted: Sequence[Right], entry: Mapping[str, object], version: str) -> Held:
    """From what ACL GETUSER says: exact for whole commands, unknown where a category decides."""
    words = str(entry.get("commands", "")).split()
    keys = str(entry.get("keys", "")).replace("[", " ").replace("]", " ").replace("'", " ").replace(",", " ").split()
    keys = [key if "~" in key else f"~{key}" for key in keys]
    rights: dict[Right, bool | None] = {}
    for right in wanted:
        held: bool | None = False
        for word in words:
            if word in ("+@all", "allcommands"):
                held = True
            elif word in ("-@all", "nocommands"):
                held = False
            elif word[1:2] == "@":
                held = None
            elif word[1:] in (right.what, right.what.partition("|")[0]):
                held = word[0] == "+"
        if right.on and held:
            held = True if "~*" in keys or right.on in keys or f"~{right.on.partition('~')[2]}" in keys else None
        rights[right] = held
    more = ("everything (+@all)",) if "+@all" in words else ()
    return Held(f"the user {name}", rights, more, version=version)


async def _by_trying(session: RedisSession, name: str, wanted: Sequence[Right], version: str) -> Held:
    rights: dict[Right, bool | None] = {}
    for right in wanted:
        command = _command(right, {**_ARGUMENTS, **_HARMLESS}, nobodys) if right.what not in _NEVER_TRIED else None
        reply = (await session.pipeline([command]))[0] if command else None
        rights[right] = None if command is None else not (isinstance(reply, ServerSaid) and bool(lacking(reply)))
    asking = f"redis-cli ACL DRYRUN {name} …"
    notes = (
        f"it may not ask for its rights, so those that cannot be tried are not known; as an administrator: {asking}",
    )
    return Held(f"the user {name}", rights, (), notes if any(held is None for held in rights.values()) else (), version)


def _command(
    right: Right, arguments: Mapping[str, Sequence[object]], made: Callable[[str], str | None]
) -> list[str] | None:
    key = made(right.on.partition("~")[2]) if right.on else ""
    if key is None:
        return None
    return [*right.what.split("|"), *(key if word is _KEY else str(word) for word in arguments.get(right.what, ()))]


def nobodys(glob: str) -> str | None:
    """A key that matches a glob and that nobody has; None where that is not plain to make.

    >>> nobodys("count") is None, nobodys("page:*").startswith("page:watchkeeper-")
    (True, True)
    """
    return matching(glob) if "*" in _CLASS.sub("", _ESCAPED.sub("", glob)) else None


def matching(glob: str) -> str:
    """A key that matches a glob as Redis understands it.

    >>> matching("count"), matching("[ab]?:x"), matching("[^a]"), matching(r"\\*")
    ('count', 'a0:x', '0', '*')
    """
    made, rest = "", glob
    while rest:
        if one := _ESCAPED.match(rest):
            made += one[0][1]
        elif one := _CLASS.match(rest):
            made += _member(one[1])
        else:
            made += {"*": f"watchkeeper-{secrets.token_hex(8)}", "?": "0"}.get(rest[0], rest[0])
        rest = rest[one.end() if one else 1 :]
    return made


def _member(said: str) -> str:
    """A character of a class, of which this is what stands between the brackets."""
    if not said.startswith("^"):
        return said[0]
    ranges = [(one[0], one[-1]) for one in re.findall(r".-.|.", said[1:])]
    others = string.digits + string.ascii_letters + string.punctuation
    return next((one for one in others if not any(low <= one <= high for low, high in ranges)), "0")
