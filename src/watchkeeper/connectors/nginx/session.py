"""An open session with one nginx: nothing is kept open but its logs; what was learnt of it is."""

import asyncio
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from watchkeeper.connectors.nginx import access, keep, workers
from watchkeeper.connectors.nginx.configuration import Configuration, StatusAt, includes, parsed, understood
from watchkeeper.connectors.nginx.files import Files
from watchkeeper.connectors.nginx.logs import Logs
from watchkeeper.domain import ExecResult, Host, NotFound, Refused, Resource, WatchkeeperError
from watchkeeper.hosts import ContainerHost, ServiceHost, mounts
from watchkeeper.hosts.usage import is_here

_PREFIX = re.compile(r"--(prefix|conf-path)=(\S+)")
_DEEPEST = 8
_UNRESOLVED = re.compile(r'host not found in (?:upstream |resolver )?"(?P<name>[^":]+)')
_DENIED = "(13: Permission denied)"
"""What we may not open says nothing of whether its master may."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What `nginx -t` says of the files as they are."""

    good: bool
    said: str

    @property
    def cause(self) -> str:
        """In a sentence, what is wrong; what was loaded before is loaded still."""
        if self.good:
            return ""
        if found := _UNRESOLVED.search(self.said):
            name = found["name"]
            return (
                f"Its configuration names {name}, which cannot be resolved now: what is loaded goes on, and a "
                f"reload or a start fails until {name} is there again."
            )
        return "The configuration on disk is not valid; what is loaded still is."


class NginxSession:
    """What looks and tools work on. Opening it never fails."""

    def __init__(self, resource: Resource, host: Host | None) -> None:
        self.resource = resource
        self.host = host
        self.files = Files(None, None)
        self.logs = Logs(host, resource.slug)
        self.pid = 0
        """The process on this machine among whose descendants it is; 0 where it is elsewhere, or does not run."""
        self.family: workers.Family | None = None
        self.configuration: Configuration | None = None
        """As the files are now, or were when they could last be parsed."""
        self.loaded: Configuration | None = None
        """As it serves, as far as that is known: where it listens and what it logs is told by this one. What stands on
        disk may be broken, or not loaded yet."""
        self.tested: Tested | None = None
        self.flags = ""
        """What it was started with, for a command line; with none `nginx -t` tests what it was built to read."""
        self.barred: Mapping[str, str] = {}
        """By file, why it must not be written."""
        self.stamp: str | None = None
        self.changed_at: float | None = None
        """Loop time at which the files were seen to change, or had been written before we came; None: unknown."""
        self.running: str | None = None
        """The digest of what is loaded, where that is known."""
        self.generation = ""
        self.status_way: tuple[str, StatusAt] | None = None
        """How stub_status was asked last, and where it is."""
        self.no_status_until = 0.0
        self.silent_since: float | None = None
        self.answered = False
        self.problem = ""
        """Why its configuration could not be read or tested last."""
        self.learning: asyncio.Task[None] | None = None
        self.grown: dict[str, tuple[float, int]] = {}
        self._good: dict[str, bytes] | None = None
        self._command: access.Command | None = None
        self._expanded: Mapping[str, Sequence[str]] = {}
        self._built: dict[str, str] | None = None
        self._where: tuple[str, str] | None = None
        self._due: dict[str, float] = {}

    async def aclose(self) -> None:
        """Follow its logs no more, and let go of what is being read."""
        if self.learning is not None:
            self.learning.cancel()
            await asyncio.gather(self.learning, return_exceptions=True)
        await self.logs.close()

    def due(self, what: str, every: float) -> bool:
        """True at most every so many seconds: for what is looked at less often."""
        present = asyncio.get_running_loop().time()
        if present < self._due.get(what, 0.0):
            return False
        self._due[what] = present + every
        return True

    def soon(self, *what: str) -> None:
        """What is looked at less often is looked at with the next look."""
        for name in what:
            self._due.pop(name, None)

    @property
    def url(self) -> SplitResult | None:
        """Where it is reached, for one that is named by its address."""
        given = self.resource.settings.get("url")
        return urlsplit(str(given)) if given else None

    @property
    def good(self) -> dict[str, bytes] | None:
        """The files of the last configuration that tested good; None where none was seen."""
        if self._good is None:
            self._good = keep.remembered(self.resource.id)
        return self._good

    # Where it runs -----------------------------------------------------------------------------------------------

    async def locate(self) -> None:
        """Find its processes and its files; they are other ones after each start."""
        pid, root = 0, None
        if isinstance(self.host, ServiceHost):
            if self.host.machine.provider == "local":
                pid, root = self.host.pid, ""
        elif isinstance(self.host, ContainerHost):
            there = (await self.host.state()).pid
            if await asyncio.to_thread(is_here, there, self.host.incarnation):
                pid, root = there, f"/proc/{there}/root"
        if (pid, root) != (self.pid, self.files.root) or self.stamp is None:
            self.pid, self.files = pid, Files(self.host, root)
            self._command = None
        self.family = await asyncio.to_thread(workers.family, pid) if pid else None

    async def command(self) -> access.Command:
        """What it was started with."""
        if self._command is None:
            processes = await self.host.processes() if self.host is not None else ()
            self._command = access.command_of(processes)
            if isinstance(self.host, ServiceHost) and self.host.needs_telling:
                self.host.told(arguments=self._command.arguments())
        return self._command

    async def nginx(self, *arguments: str, timeout: float = 10.0) -> ExecResult:
        """The server's own program with the flags it was started with, on its host."""
        if self.host is None:
            raise Refused("It is known only by its address; nothing can be run beside it.")
        command = await self.command()
        return await self.host.exec([command.program, *command.arguments(), *arguments], timeout=timeout)

    async def _places(self) -> tuple[str, str]:
        """The main file, and what relative names of logs are below."""
        command = await self.command()
        if (not command.configuration or not command.prefix) and self._built is None and self.host is not None:
            try:
                done = await self.host.exec([command.program, "-V"], timeout=5.0)
                self._built = dict(_PREFIX.findall(done.stderr + done.stdout))
            except WatchkeeperError:
                self._built = {}
        built = self._built or {}
        prefix = command.prefix or built.get("prefix", "/etc/nginx")
        main = command.configuration or built.get("conf-path", access.CONFIGURATION)
        return posixpath.normpath(posixpath.join(prefix, main)), prefix

    # Its configuration -------------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Read the files anew. Raises WatchkeeperError where that cannot be done."""
        main, prefix = self._where = await self._places()
        contents, self._expanded = await self.read_files(main)
        self.configuration = understood(main, contents, self.expansion(), prefix)
        self.loaded = self.loaded or self.configuration
        self.flags = shlex.join((await self.command()).arguments())
        if isinstance(self.host, ContainerHost):
            shown = await self.host.inspect(fresh=False)
            self.barred = {path: why for path in contents if (why := mounts.barred(shown, path))}

    async def read_files(self, main: str) -> tuple[dict[str, bytes], Mapping[str, Sequence[str]]]:
        """Every file of the configuration, and which each include means."""
        contents = {main: await self.files.read(main)}
        expanded: dict[str, list[str]] = {}
        fresh = [main]
        for _ in range(_DEEPEST):
            wanted = [
                pattern
                for path in fresh
                for pattern in includes(parsed(contents[path], path)[0], posixpath.dirname(main))
                if pattern not in expanded
            ]
            if not wanted:
                break
            expanded |= await self.files.expand(list(dict.fromkeys(wanted)))
            fresh = [path for pattern in wanted for path in expanded[pattern] if path not in contents]
            for path in fresh:
                contents[path] = await self.files.read(path)
        return contents, expanded

    async def test(self) -> Tested:
        """`nginx -t` of the files as they are; what tests good is remembered. Raises WatchkeeperError."""
        done = await self.nginx("-t", "-q", timeout=8.0)
        said = " ".join((done.stderr or done.stdout).split())
        if done.exit_code and "[emerg]" not in said and "[alert]" not in said and "test" not in said:
            raise WatchkeeperError(f"`nginx -t` cannot be run: {said[:300]}")
        if done.exit_code and _DENIED in said and isinstance(self.host, ServiceHost) and not self.host.machine.is_root:
            raise WatchkeeperError(f"`nginx -t` needs root, or its master's user: {said[:300]}")
        self.tested = Tested(done.exit_code == 0, said[:500])
        if self.tested.good and self.configuration is not None and self.configuration.contents != self._good:
            self._good = dict(self.configuration.contents)
            if self.resource.may_act:
                await asyncio.to_thread(keep.remember, self.resource.id, self._good)
        self._take()
        return self.tested

    def _take(self) -> None:
        """Where no reload can be seen, what tests good is taken for what is loaded; and for what was broken before
        anybody looked, the last that did."""
        if self.tested is None or self.configuration is None:
            return
        if self.tested.good and self.family is None:
            self.loaded = self.configuration
        elif not self.tested.good and self.loaded is self.configuration and self.good:
            _, prefix = self._where or ("", "/etc/nginx")
            self.loaded = understood(self.configuration.main, self.good, self.expansion(), prefix)

    def expansion(self) -> Callable[[str], Sequence[str]]:
        """Which files each include means, as they were when they were read last."""
        expanded = self._expanded
        return lambda pattern: expanded.get(pattern, ())

    async def kept(self, path: str, name: str) -> bytes | None:
        """A file as it was kept, or as it was moved aside; None where neither is there."""
        try:
            return await self.files.read(name)
        except NotFound:
            return None

    async def files_limit(self) -> int | None:
        """How many files a worker may have open; None where that cannot be told."""
        if self.family is None or not self.family.serving:
            return None
        try:
            return (await asyncio.to_thread(workers.files_limits, self.family.serving[0].pid))[0]
        except OSError:
            return None

    def known(self) -> Configuration:
        """Raises Refused where its configuration could not be read."""
        if self.configuration is None:
            raise Refused("Its configuration cannot be read from here.")
        return self.configuration

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        """From where a port of its is reached from here, best first."""
        if self.url is not None and self.url.hostname:
            return ((self.url.hostname, self.url.port or (443 if self.url.scheme == "https" else 80)),)
        if self.host is None:
            raise NotFound("It has no address.")
        return await self.host.endpoints(port)
