"""What an nginx is configured with: its files parsed, and where each thing stands in them. Pure but for a scratch file.

Files are edited in place by the line of the parsed directive: crossplane's `build` would write them anew.
"""

import hashlib
import posixpath
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import crossplane  # pyright: ignore[reportMissingTypeStubs]

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_DEEPEST = 8
_PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass")
Directive = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a directive stands; lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a `server` block listens; `address` is empty for every address."""

    address: str
    port: int
    tls: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusAt:
    """A location with `stub_status`."""

    listen: Listen
    path: str


@dataclass(frozen=True, slots=True)
class Peer:
    """One `server` of an `upstream`."""

    address: str
    weight: int
    spot: Spot
    down: bool = False
    backup: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """A log file; `format` is the text of its `log_format`, empty for an error log."""

    path: str
    format: str = ""


@dataclass
class Configuration:
    """One configuration as a whole. What is not set has nginx' own default (nginx.org, "Core functionality")."""

    main: str
    contents: Mapping[str, bytes]
    patterns: tuple[str, ...] = ()
    """The main file, and what `include` names: absolute, with wildcards."""
    worker_processes: int | None = 1
    """None: as many as there are processors."""
    worker_connections: int = 512
    connections_at: Spot | None = None
    files_limit: int | None = None
    files_limit_at: Spot | None = None
    shutdown_timeout: str = ""
    status: list[StatusAt] = field(default_factory=list[StatusAt])
    listens: list[Listen] = field(default_factory=list[Listen])
    upstreams: dict[str, list[Peer]] = field(default_factory=dict[str, list[Peer]])
    targets: list[str] = field(default_factory=list[str])
    access_logs: list[Log] = field(default_factory=list[Log])
    error_logs: list[Log] = field(default_factory=list[Log])
    problems: list[str] = field(default_factory=list[str])

    @property
    def digest(self) -> str:
        """Of every file's name and content."""
        return digest(self.contents)

    @property
    def serves_without_tcp(self) -> bool:
        """Whether requests may be at work that no TCP connection to an upstream shows (a Unix socket)."""
        peers = [peer.address for group in self.upstreams.values() for peer in group]
        return any("unix:" in target for target in (*peers, *self.targets))


def digest(contents: Mapping[str, bytes]) -> str:
    """Twelve characters that tell one state of files from another."""
    whole = hashlib.sha256()
    for path in sorted(contents):
        whole.update(path.encode() + b"\0" + contents[path] + b"\0")
    return whole.hexdigest()[:12]


def parsed(content: bytes, name: str) -> tuple[list[Directive], list[str]]:
    """The directives of one file, and what cannot be read in it."""
    with tempfile.NamedTemporaryFile(prefix="watchkeeper-nginx-") as scratch:
        scratch.write(content)
        scratch.flush()
        told = cast("dict[str, Any]", crossplane.parse(scratch.name, single=True, check_ctx=False, check_args=False))  # pyright: ignore[reportUnknownMemberType]
    (file,) = told["config"]
    errors = [str(error["error"]).replace(scratch.name, name) for error in file["errors"]]
    return cast("list[Directive]", file["parsed"]), errors


def includes(directives: Sequence[Directive], folder: str) -> list[str]:
    """What these directives include, absolute: relative names are below the folder of the main file."""
    found: list[str] = []
    for directive in directives:
        if directive["directive"] == "include" and directive["args"]:
            found.append(posixpath.normpath(posixpath.join(folder, directive["args"][0])))
        found += includes(directive.get("block") or [], folder)
    return found


def understood(
    main: str, contents: Mapping[str, bytes], expand: Callable[[str], Sequence[str]], prefix: str
) -> Configuration:
    """The whole of what these files say. `expand` gives the files that an include means, in nginx' order."""
    made = Configuration(main, contents)
    trees: dict[str, list[Directive]] = {}
    patterns = [main]
    for path, content in contents.items():
        trees[path], errors = parsed(content, path)
        made.problems += errors
        patterns += includes(trees[path], posixpath.dirname(main))
    made.patterns = tuple(dict.fromkeys(patterns))
    _Reader(made, trees, expand, prefix).read()
    return made


class _Reader:
    def __init__(
        self,
        made: Configuration,
        trees: Mapping[str, list[Directive]],
        expand: Callable[[str], Sequence[str]],
        prefix: str,
    ) -> None:
        self._made = made
        self._trees = trees
        self._expand = expand
        self._prefix = prefix
        self._formats = {"combined": COMBINED}

    def read(self) -> None:
        top = list(self._flat(self._trees.get(self._made.main, []), self._made.main, 0))
        for file, one in top:
            name, args = one["directive"], one["args"]
            if name == "worker_processes" and args:
                self._made.worker_processes = int(args[0]) if args[0].isdigit() else None
            elif name == "worker_rlimit_nofile" and args and args[0].isdigit():
                self._made.files_limit, self._made.files_limit_at = int(args[0]), Spot(file, one["line"])
            elif name == "worker_shutdown_timeout" and args:
                self._made.shutdown_timeout = args[0]
            elif name == "error_log":
                self._log(one)
            elif name == "events":
                self._events(file, one)
            elif name == "http":
                self._http(file, one)

    def _flat(self, directives: Sequence[Directive], file: str, depth: int) -> Iterator[tuple[str, Directive]]:
        """Directives in order, with what they include in its place."""
        for one in directives:
            if one["directive"] != "include" or depth > _DEEPEST or not one["args"]:
                yield file, one
                continue
            pattern = posixpath.normpath(posixpath.join(posixpath.dirname(self._made.main), one["args"][0]))
            for path in self._expand(pattern):
                yield from self._flat(self._trees.get(path, []), path, depth + 1)

    def _inside(self, file: str, one: Directive) -> list[tuple[str, Directive]]:
        return list(self._flat(one.get("block") or [], file, 0))

    def _events(self, file: str, events: Directive) -> None:
        for where, one in self._inside(file, events):
            if one["directive"] == "worker_connections" and one["args"] and one["args"][0].isdigit():
                self._made.worker_connections = int(one["args"][0])
                self._made.connections_at = Spot(where, one["line"])

    def _http(self, file: str, http: Directive) -> None:
        inside = self._inside(file, http)
        for _, one in inside:
            if one["directive"] == "log_format" and len(one["args"]) > 1:
                parts = [part for part in one["args"][1:] if not part.startswith("escape=")]
                self._formats[one["args"][0]] = "".join(parts)
        logs = False
        for where, one in inside:
            name = one["directive"]
            if name in ("access_log", "error_log"):
                logs |= name == "access_log"
                self._log(one)
            elif name == "upstream" and one["args"]:
                self._upstream(where, one)
            elif name == "server":
                self._server(where, one)
        if not logs and not self._made.access_logs:
            self._made.access_logs.append(Log(posixpath.join(self._prefix, "logs/access.log"), COMBINED))

    def _upstream(self, file: str, upstream: Directive) -> None:
        peers = self._made.upstreams.setdefault(upstream["args"][0], [])
        for where, one in self._inside(file, upstream):
            if one["directive"] == "server" and one["args"]:
                options = one["args"][1:]
                weight = next((o.removeprefix("weight=") for o in options if o.startswith("weight=")), "1")
                spot = Spot(where, one["line"])
                number = int(weight) if weight.isdigit() else 1
                peers.append(Peer(one["args"][0], number, spot, "down" in options, "backup" in options))

    def _server(self, file: str, server: Directive) -> None:
        inside = self._inside(file, server)
        names = tuple(arg for _, one in inside if one["directive"] == "server_name" for arg in one["args"])
        said = [one["args"] for _, one in inside if one["directive"] == "listen" and one["args"]]
        listens = [found for args in said or [["80"]] if (found := _listen(args, names))]
        self._made.listens += listens
        self._within(inside, listens, "")

    def _within(self, inside: Sequence[tuple[str, Directive]], listens: Sequence[Listen], path: str) -> None:
        for where, one in inside:
            name = one["directive"]
            if name == "location" and one["args"]:
                pattern = one["args"][-1] if len(one["args"]) == 1 or one["args"][0] in ("=", "^~") else ""
                self._within(self._inside(where, one), listens, pattern)
            elif name in ("if", "limit_except"):
                self._within(self._inside(where, one), listens, path)
            elif name == "stub_status" and path:
                self._made.status += [StatusAt(listen, path) for listen in listens]
            elif name in _PASSES and one["args"]:
                self._made.targets.append(one["args"][0])
            elif name in ("access_log", "error_log"):
                self._log(one)

    def _log(self, one: Directive) -> None:
        args = one["args"]
        if not args or args[0] in ("off", "stderr") or args[0].startswith(("syslog:", "memory:")) or "$" in args[0]:
            if args[:1] == ["stderr"] and one["directive"] == "error_log":
                self._add(self._made.error_logs, Log("/dev/stderr"))
            return
        path = posixpath.normpath(posixpath.join(self._prefix, args[0]))
        if one["directive"] == "error_log":
            self._add(self._made.error_logs, Log(path))
        else:
            named = args[1] if len(args) > 1 and "=" not in args[1] else "combined"
            self._add(self._made.access_logs, Log(path, self._formats.get(named, COMBINED)))

    @staticmethod
    def _add(logs: list[Log], log: Log) -> None:
        if log not in logs:
            logs.append(log)


def _listen(args: Sequence[str], names: tuple[str, ...]) -> Listen | None:
    where = args[0]
    if where.startswith("unix:"):
        return None
    if where.isdigit():
        return Listen("", int(where), "ssl" in args, names)
    address, colon, port = where.rpartition(":")
    if (where.startswith("[") and where.endswith("]")) or not colon:
        address, port = where, "80"
    address = address.strip("[]")
    if not port.isdigit():
        return None
    return Listen("" if address in ("*", "0.0.0.0", "::") else address, int(port), "ssl" in args, names)
