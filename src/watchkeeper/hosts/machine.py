"""A machine whose services are plain processes and systemd units: which there are, and one place where it is asked."""

import asyncio
import fnmatch
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from watchkeeper.domain import Network, WatchkeeperError
from watchkeeper.hosts import standing
from watchkeeper.hosts.exits import Exits
from watchkeeper.hosts.proc import Process, Survey, Unit, parse
from watchkeeper.hosts.remembered import Memory
from watchkeeper.hosts.shell import Output, Shell, script

if TYPE_CHECKING:
    from watchkeeper.hosts.service import ServiceHost

_GAP_SECONDS = 0.05
"""At least so long between two surveys, and at least as long as one takes: half the time at most is spent on it."""
_SURVEY_SECONDS = 8.0
_TITLE_PORT = re.compile(r"(\S*):(\d+)\b")
_OURS = re.compile(r"(^|/)watchkeeper(-lab)?$")
_LISTED_SECONDS = 1.0
_KEEP_SECONDS = 1.0
_EVERYWHERE = {"0.0.0.0", "::"}
_QUEUE = 1000


class Machine:
    """One machine behind a shell: this one, or one that is reached over SSH.

    What many ask at once is asked once: everybody is answered by a survey that began after they asked. A machine that
    cannot be reached is no reason to stop: `problem` says why, and what was known of it stays known.
    """

    def __init__(
        self,
        shell: Shell,
        *,
        name: str = "",
        provider: str = "local",
        services: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        sudo: bool = False,
        memory: Path | None = None,
    ) -> None:
        self.shell = shell
        self.name = name
        """Empty for this machine; else what its services' names begin with."""
        self.provider = provider
        self.sudo = sudo
        self.labels = dict(labels or {})
        self.problem: str | None = None
        self.survey: Survey | None = None
        self.exits: Exits | None = None
        self.unwritten = False
        """Whether something is known of its plain processes that is not kept yet."""
        self._memory = Memory(memory) if memory else None
        """What was known of them is recalled from there; None: it is known as long as this process lives."""
        self._recalled = memory is None
        self._keeping = asyncio.Lock()
        self._kept_at = 0.0
        self._named = tuple(services)
        self._services: dict[str, ServiceHost] = {}
        self._one = asyncio.Lock()
        self._waiting: dict[bool, asyncio.Task[Survey]] = {}
        self._free_at = 0.0
        self._listeners: set[asyncio.Queue[int]] = set()
        self._listing = asyncio.Lock()
        self._standing: standing.Standing | None = None
        self._listed = 0.0

    async def __aenter__(self) -> "Machine":
        if self.provider == "local":
            self.exits = Exits(self._ended)
            self.exits.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.exits:
            self.exits.stop()
        for task in self._waiting.values():
            task.cancel()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)
        await self._keep_in_mind(soon=False)
        await self.shell.close()

    @property
    def is_root(self) -> bool:
        """Whether it is handled as root."""
        return self.survey is not None and self.survey.uid == 0

    async def hosts(self) -> "list[ServiceHost]":
        """Every service there is, whether or not anything knows it; the same objects as last time."""
        try:
            await self.look(full=True)
            self.problem = None
        except WatchkeeperError as problem:
            self.problem = str(problem)
        return [service for service in self._services.values() if not service.forgotten]

    async def changes(self) -> AsyncIterator[int]:
        """The process id of each service that ended, as it does; on this machine, as root. Else nothing ever."""
        queue: asyncio.Queue[int] = asyncio.Queue(_QUEUE)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def _ended(self, pid: int) -> None:
        if any(service.pid == pid for service in self._services.values()):
            for queue in self._listeners:
                if not queue.full():
                    queue.put_nowait(pid)

    async def run(
        self, name: str, arguments: Sequence[str] = (), *, content: bytes | None = None, timeout: float = 10.0
    ) -> Output:
        """One of our scripts. Raises WatchkeeperError where the machine cannot be asked."""
        return await self.shell.run(script(name), arguments, content=content, timeout=timeout)

    async def look(self, *, full: bool = False) -> Survey:
        """How it is, by a survey that begins after this was called. Raises WatchkeeperError."""
        if full not in self._waiting:
            task = asyncio.create_task(self._take(full=full), name=f"survey of {self.shell.machine}")
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
            self._waiting[full] = task
        return await asyncio.shield(self._waiting[full])

    async def network_of(self, service: "ServiceHost") -> Network:
        """Where a service stands on the network; the machine's sockets are listed at most once a second."""
        async with self._listing:
            present = asyncio.get_running_loop().time()
            if self._standing is None or present - self._listed > _LISTED_SECONDS:
                survey = self.survey or await self.look()
                out = await self.run("sockets", timeout=5.0)
                self._standing, self._listed = standing.parse(out.stdout, survey.boot), present
        pids = [process.pid for process in self.survey.tree(service.pid)] if self.survey else []
        return self._standing.of(pids, service.ports)

    async def _take(self, *, full: bool) -> Survey:
        loop = asyncio.get_running_loop()
        async with self._one:
            await asyncio.sleep(max(0.0, self._free_at - loop.time()))  # the rate of surveys
            self._waiting.pop(full, None)
            begun = loop.time()
            try:
                survey = await self._survey(full=full)
                if not full and self._news(survey):
                    survey = await self._survey(full=True)
            finally:
                self._free_at = loop.time() + max(_GAP_SECONDS, loop.time() - begun)
            await self._recall(survey)
            self._apply(survey)
            await self._keep_in_mind(soon=True)
            return survey

    async def _survey(self, *, full: bool) -> Survey:
        units = [service.unit for service in self._services.values() if service.unit]
        out = await self.run("survey", ["1"] if full else ["0", *units], timeout=_SURVEY_SECONDS)
        if out.exit_code:
            raise WatchkeeperError(f"{self.shell.machine} could not be surveyed: {out.said}")
        return parse(out.stdout, full=full)

    def _news(self, survey: Survey) -> bool:
        """Whether a plain service's process is gone, or one appeared that may be one that was gone."""
        known = self.survey.processes if self.survey else {}
        fresh = {process.comm for pid, process in survey.processes.items() if pid not in known}
        for service in self._services.values():
            main = service.process
            if service.unit or main is None:
                continue
            there = survey.processes.get(main.pid)
            if service.running and (there is None or there.start != main.start):
                return True
            if not service.running and main.comm in fresh:
                return True
        return False

    async def _recall(self, survey: Survey) -> None:
        """What was known of its plain processes before, once; those that are gone since are services that ended."""
        if self._memory is None or self._recalled or not survey.full:
            return
        known = await asyncio.to_thread(self._memory.read, survey)
        self._recalled = self.unwritten = True
        for one in known:
            if f"{one.name}.service" not in survey.units:  # which has taken its place
                self._service(one.name).recall(one)

    async def _keep_in_mind(self, *, soon: bool) -> None:
        """Have what is known of its plain processes outlive this process, where that changed; `soon` as a survey brings
        it, but not more often than is good for a disk."""
        loop = asyncio.get_running_loop()
        if self._memory is None or self.survey is None or not self._recalled:
            return
        async with self._keeping:
            if not self.unwritten or (soon and loop.time() - self._kept_at < _KEEP_SECONDS):
                return
            known = [one for service in self._services.values() if (one := service.memory())]
            self.unwritten, self._kept_at = False, loop.time()
            try:
                await asyncio.to_thread(self._memory.write, self.survey, known)
            except asyncio.CancelledError:
                self.unwritten = True
                raise

    # Which services there are ------------------------------------------------------------------------------------

    def _apply(self, survey: Survey) -> None:
        if survey.full:
            self._find(survey)
        else:
            last = self.survey
            if last is not None:  # what a quick survey leaves out has not changed
                survey.units = {**last.units, **survey.units}
                survey.ports, survey.own_cgroup, survey.own_depth = last.ports, last.own_cgroup, last.own_depth
                survey.pid_namespace = last.pid_namespace
        self.survey = survey
        for service in self._services.values():
            service.update(survey)

    def _find(self, survey: Survey) -> None:
        mine = {process.pid for process in survey.tree(os.getpid())} if self.provider == "local" else set[int]()
        ports = dict(survey.ports)
        for process in survey.processes.values():
            if found := _by_title(process, survey):
                ports.setdefault(process.pid, {}).update(found)
        units: dict[str, dict[int, set[str]]] = {
            unit.name: {} for unit in survey.units.values() if _is_service(unit) or self._is_named(unit.name)
        }
        plain: dict[str, tuple[Process, dict[int, set[str]]]] = {}
        for pid, listening in sorted(ports.items()):
            process = survey.processes[pid]
            if pid in mine or survey.contained(process) or any(_OURS.search(word) for word in process.argv[:2]):
                continue
            if unit := survey.unit_of(process):
                for port, addresses in listening.items():
                    units.setdefault(unit.name, {}).setdefault(port, set()).update(addresses)
            else:
                plain[_plain_name(process, listening, plain)] = (process, listening)
        others = {pid: listening for pid, listening in ports.items() if pid not in mine}
        self._keep(survey, units, plain, others)

    def _keep(
        self,
        survey: Survey,
        units: Mapping[str, dict[int, set[str]]],
        plain: Mapping[str, tuple[Process, dict[int, set[str]]]],
        heard: Mapping[int, Mapping[int, set[str]]],
    ) -> None:
        for unit, listening in units.items():
            service = self._service(unit.removesuffix(".service"), unit=unit)
            service.ports = listening or service.ports
        for name, (process, listening) in plain.items():
            service = self._service(name)
            self.unwritten |= service.ports != listening
            service.ports = listening
            service.adopt(process, survey)
        for name in [
            name
            for name, service in self._services.items()
            if (service.unit and service.unit not in survey.units and not service.watched)
            or (not service.unit and name not in plain and not _missed(service, survey, heard))
        ]:
            del self._services[name]

    def _service(self, name: str, *, unit: str = "") -> "ServiceHost":
        from watchkeeper.hosts.service import ServiceHost

        if name not in self._services:
            self._services[name] = ServiceHost(self, name, unit, named=self._is_named(name))
        return self._services[name]

    def _is_named(self, name: str) -> bool:
        name = name.removesuffix(".service")
        return any(fnmatch.fnmatchcase(name, pattern.removesuffix(".service")) for pattern in self._named)


def _missed(service: "ServiceHost", survey: Survey, heard: Mapping[int, Mapping[int, set[str]]]) -> bool:
    """Whether a plain service that is not there any more is remembered. Of one that ended while nobody watched, another
    may have taken the place by now: it listens there, and is none that we are just starting."""
    if service.recalled and not service.running:
        for port, addresses in service.ports.items():
            there = {address for listening in heard.values() for address in listening.get(port, ())}
            if port in survey.unheard or there & {*addresses, *_EVERYWHERE} or (there and _EVERYWHERE & {*addresses}):
                return False
    return service.watched or service.recalled


def _is_service(unit: Unit) -> bool:
    """Whether a unit is something that runs, or ought to: not what does one thing at the start and is done."""
    said = unit.said
    wanted = said.get("ActiveState") != "inactive" or said.get("UnitFileState", "").startswith("enabled")
    return said.get("LoadState") == "loaded" and said.get("Type") != "oneshot" and bool(unit.command) and wanted


def _plain_name(process: Process, listening: Mapping[int, set[str]], taken: Mapping[str, object]) -> str:
    """`redis-6379`: the program and its first port, which stay the same when it is started anew."""
    program = re.sub(r"[^\w.+-]+", "-", process.program.removesuffix("-server")).strip("-") or process.comm
    port = min(listening)
    name = f"{program}-{port}"
    return name if name not in taken else f"{program}-{min(listening[port]).replace(':', '-')}-{port}"


def _by_title(process: Process, survey: Survey) -> dict[int, set[str]]:
    """The ports of another user's process, where only its own title tells them (`redis-server 127.0.0.1:6379`)."""
    if process.uid == survey.uid or process.pid in survey.ports or not survey.unheard:
        return {}
    found: dict[int, set[str]] = {}
    for address, port in _TITLE_PORT.findall(process.command):
        if int(port) in survey.unheard:
            found[int(port)] = {"0.0.0.0" if address in ("", "*") else address.strip("[]")}
    return found
