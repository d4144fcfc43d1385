"""A service on a machine as a host: a systemd unit, or a plain process that listens."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from watchkeeper.domain import (
    ExecResult,
    HostState,
    Limits,
    Network,
    NotFound,
    Refused,
    StopCause,
    WatchkeeperError,
    now,
)
from watchkeeper.hosts.answers import journal_entry
from watchkeeper.hosts.ending import OomKills, of_unit, start_count
from watchkeeper.hosts.exits import cause
from watchkeeper.hosts.granted import Room
from watchkeeper.hosts.machine import Machine
from watchkeeper.hosts.proc import Process, Survey
from watchkeeper.hosts.recipe import Recipe, recipe_of, supervisor
from watchkeeper.hosts.remembered import Remembered
from watchkeeper.hosts.shell import script
from watchkeeper.hosts.usage import ServiceUsage

_GRACE_SECONDS = 10.0
_FORGET = timedelta(hours=1)
"""How long a plain process that was stopped on purpose is remembered."""
_GIVE_UP = timedelta(days=7)
"""How long one is remembered that ended for another reason, and that nobody started again."""
_ALTERNATIVE_SECONDS = 1.0
"""How long a living parent may take to start it again before we do."""


class ServiceHost:
    """One service of a machine, found by `Machine.hosts()`.

    Its incarnation is its name on its machine: a service that was started anew is the same one. Raises WatchkeeperError
    from everything but `state`.
    """

    def __init__(self, machine: Machine, name: str, unit: str, *, named: bool) -> None:
        self.machine = machine
        self.unit = unit
        """`redis-server.service`; empty for a plain process."""
        self.ports: dict[int, set[str]] = {}
        self.process: Process | None = None
        """Its main process; the last one where it does not run."""
        self.running = False
        self.watched = False
        """Whether anybody asked for more than whether it is there: only then it is remembered when it is gone."""
        self.recalled = False
        """Whether it was known before Watchkeeper was started anew."""
        self._local_name = name
        self._named = named
        self._recipe: Recipe | None = None
        self._told: tuple[tuple[str, ...], bytes] | None = None
        self._told_log = ""
        self._log_moved = asyncio.Event()
        """Set, and another one taken, when it is told that it logs elsewhere."""
        self._finished: datetime | None = None
        self._end: tuple[StopCause, int | None] = ("unknown", None)
        self._ooms = OomKills()
        self._room = Room()

    def __repr__(self) -> str:
        return f"<{'unit' if self.unit else 'process'} {self.id}>"

    @property
    def id(self) -> str:
        return f"{self.machine.provider}:{self.name}"

    @property
    def provider(self) -> str:
        return self.machine.provider

    @property
    def kind(self) -> str:
        return "service"

    @property
    def name(self) -> str:
        """Its name; on a machine reached over SSH `db1/redis-server`."""
        return f"{self.machine.name}/{self._local_name}" if self.machine.name else self._local_name

    @property
    def labels(self) -> Mapping[str, str]:
        """What the configuration says of the machine. Unnamed, it is watched only with what runs on it."""
        own = {"watchkeeper.alone": "true" if self._named else "false"}
        if self.unit:
            own["service.unit"] = self.unit
        if self.ports:
            own["service.port"] = str(min(self.ports))
        return {**self.machine.labels, **own}

    @property
    def incarnation(self) -> str:
        return self.id

    @property
    def pid(self) -> int:
        return self.process.pid if self.process and self.running else 0

    @property
    def restarts(self) -> int:
        """How often systemd started it again by itself; 0 for a plain process."""
        survey = self.machine.survey
        unit = survey.units.get(self.unit) if survey else None
        return (unit.number("NRestarts") or 0) if unit else 0

    @property
    def forgotten(self) -> bool:
        """Ended long ago, as plain processes do when nobody wants them any more."""
        if self.unit or self.running or self._finished is None:
            return False
        return now() - self._finished > (_FORGET if self._end[0] == "on_purpose" else _GIVE_UP)

    # What is known of it -----------------------------------------------------------------------------------------

    def adopt(self, process: Process, survey: Survey) -> None:
        """This is its main process now."""
        if self.process and (self.process.pid, self.process.start) == (process.pid, process.start):
            process = self.process.seen_again(process)
        else:
            self._recipe, self.machine.unwritten = None, True
        self.process, self.running = process, process.alive
        self._ooms.alive(survey.oom_kills)

    def update(self, survey: Survey) -> None:
        """Take over what a survey says of it."""
        if self.unit:
            unit = survey.units.get(self.unit)
            main = survey.processes.get(unit.main_pid) if unit else None
            if main is not None and main.alive:
                self._ooms.alive(survey.oom_kills)
            elif self.running:
                self._ooms.ended(survey.oom_kills)
            self.process, self.running = main or self.process, main is not None and main.alive
            return
        there = survey.processes.get(self.process.pid) if self.process else None
        if self.process and there and there.start == self.process.start and there.alive:
            if survey.full or there.state != self.process.state:
                self.process = self.process.seen_again(there)
            self.running = True
            self._ooms.alive(survey.oom_kills)
        elif self.running:
            self._over(survey)

    def memory(self) -> Remembered | None:
        """What is kept of it over a restart of Watchkeeper: of a plain process that is watched."""
        if self.unit or self.process is None or self.forgotten or not (self.watched or self.recalled):
            return None
        ports = {port: tuple(addresses) for port, addresses in self.ports.items()}
        finished = None if self.running else self._finished
        return Remembered(
            self._local_name, ports, self.process, self._recipe, self._told, self._told_log, finished, self._end
        )

    def recall(self, known: Remembered) -> None:
        """What was kept of it. Until a survey shows its process it counts as ended; if it ran when it was last seen,
        nobody saw why."""
        self.ports = {port: set(addresses) for port, addresses in known.ports.items()}
        self.process, self._recipe, self._told, self._told_log = known.process, known.recipe, known.told, known.log
        self._finished = known.finished or now()
        self._end = known.end if known.finished else ("unknown", None)
        self.recalled = True

    def _over(self, survey: Survey) -> None:
        self.running, self._finished, self.machine.unwritten = False, now(), True
        exits = self.machine.exits
        status = exits.code(self.process.pid) if exits and self.process else None
        self._ooms.ended(survey.oom_kills)
        self._end = ("unknown", None) if status is None else cause(status, oom=self._ooms.rose)

    async def state(self) -> HostState:
        """How it is now. Never raises: `gone` where it is no more, `unreachable` where its machine is."""
        try:
            survey = await self.machine.look()
        except (WatchkeeperError, TimeoutError):
            return HostState("unreachable")
        if self.unit:
            unit = survey.units.get(self.unit)
            return of_unit(unit, survey, oom=self._ooms.rose) if unit else HostState("gone")
        if self.process is None:
            return HostState("gone")
        started = datetime.fromtimestamp(survey.booted_at + self.process.start / survey.hertz, UTC)
        count = start_count(survey.boot, self.process.start * 1000 // survey.hertz)
        if self.running:
            await self._learn()
            status = "paused" if self.process.state in ("T", "t") else "running"
            return HostState(status, self.process.pid, count, started)
        stopped_by, code = self._end
        return HostState("exited", 0, count, started, self._finished, code, stopped_by)

    async def processes(self) -> Sequence[str]:
        """Its processes' commands while it runs, and the one it is started with. May contain secrets."""
        survey = self.machine.survey
        if survey is None or self.process is None:
            unit = survey.units.get(self.unit) if survey else None
            return (unit.command,) if unit and unit.command else ()
        running = [process.command for process in survey.tree(self.process.pid)] if self.running else []
        started = survey.units[self.unit].command if self.unit in survey.units else self.process.command
        return tuple(dict.fromkeys(command for command in (*running, started) if command))

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        """Where its port is reached from here; on another machine's loopback, through its SSH connection."""
        return await self.machine.shell.reach(port, sorted(self.ports.get(port, ())))

    async def environment(self) -> Mapping[str, str]:
        """The variables it was started with; empty where that may not be read. Secrets: never store or show them."""
        if not self.watched:
            self.watched = self.machine.unwritten = True
        await self._learn()
        return self._recipe.environment if self._recipe else {}

    async def network(self) -> Network:
        """Its machine's network, and the sockets that its own processes hold."""
        return await self.machine.network_of(self)

    async def limits(self) -> Limits:
        """The least limit of its control groups and its process. Without one: what it uses, and half of what the
        machine has left; this moves in steps of a quarter."""
        survey = self.machine.survey or await self.machine.look()
        if not self.running or self.process is None:
            return Limits()
        out = await self.machine.run("limits", [str(self.process.pid)], timeout=5.0)
        found = [int(line.split()[1]) for line in out.stdout.split(b"\n") if line[6:].isdigit()]
        found = [limit for limit in found if 0 < limit < survey.memory_bytes]
        if found:
            return Limits(min(found))
        return Limits(self._room.bytes(self._uses(survey).memory_used_bytes, survey.available_bytes))

    async def usage(self) -> ServiceUsage:
        """What it uses now. Raises NotFound where it does not run."""
        survey = await self.machine.look()
        if not self.running:
            raise NotFound(f"{self.name} does not run.")
        return self._uses(survey)

    def _uses(self, survey: Survey) -> ServiceUsage:
        tree = survey.tree(self.pid)
        unit = survey.units.get(self.unit)
        measured = unit.number("CPUUsageNSec") if unit else None
        cpu = measured / 1e9 if measured else sum(process.cpu for process in tree) / survey.hertz
        return ServiceUsage(now(), cpu, sum(process.rss for process in tree) * survey.page, len(tree))

    # What can be done with it ------------------------------------------------------------------------------------

    @property
    def needs_telling(self) -> bool:
        """A plain process that wrote a title over its command line: nobody can read what it was started with."""
        return not self.unit and self.process is not None and self.process.titled

    def told(self, *, arguments: Sequence[str] = (), content: bytes = b"", log: str = "") -> None:
        """What somebody who speaks with the service knows of it: with which arguments and which standard input it is
        started again, and the file it logs to. Secrets among it."""
        fresh = (tuple(arguments), content)
        if self.needs_telling and (arguments or content) and fresh != self._told:
            self._told, self.machine.unwritten = fresh, True
        if log != self._told_log:
            self._told_log, self.machine.unwritten = log, True
            self._log_moved.set()
            self._log_moved = asyncio.Event()

    async def start(self) -> None:
        """Start it; nothing happens if it runs. Raises Refused where nobody knows how."""
        if self.unit:
            await self._systemctl("start")
            return
        await self.machine.look()
        if not self.running:
            await self._begin(end=False)

    async def restart(self, *, grace: float = _GRACE_SECONDS) -> None:
        """End it in order, by force after `grace` seconds, and start it as it was. Raises Refused where somebody else
        keeps it running, or nobody knows how it was started."""
        if self.unit:
            await self._systemctl("restart", timeout=grace + 120.0)
            return
        await self.machine.look()
        await self._begin(end=self.running, grace=grace)

    async def unpause(self) -> None:
        """Let a process that was halted (SIGSTOP) go on."""
        if self.pid:
            await self._asked(["kill", "-CONT", str(self.pid)], "let it go on")

    async def _begin(self, *, end: bool, grace: float = _GRACE_SECONDS) -> None:
        survey = self.machine.survey
        recipe, process = self._recipe, self.process
        if survey is None or process is None or recipe is None:
            raise Refused(
                f"How {self.name} was started is not known: it is not running, or its process may not be read."
            )
        if end and (who := supervisor(process, survey)):
            raise Refused(
                f"{self.name} is kept running by {who[0]}, which would start another.", f"Restart it there: {who[1]}."
            )
        port = f"{min(self.ports):04X}" if self.ports else ""
        parent = survey.processes.get(process.ppid)
        others = _ALTERNATIVE_SECONDS if end and parent and parent.pid != 1 else 0.0
        command, content = recipe.command(process, self._told)
        out = await self.machine.run(
            "restart",
            [
                str(process.pid if end else 0),
                str(process.start),
                str(int(grace * 10)),
                str(int(others * 10)),
                port,
                *recipe.arguments(),
                *command,
            ],
            content=content,
            timeout=grace + 30.0,
        )
        await self.machine.look(full=True)
        if out.exit_code:
            raise WatchkeeperError(f"{self.name} could not be started: {out.said}.")

    async def _systemctl(self, what: str, *, timeout: float = 120.0) -> None:
        sudo = "1" if self.machine.sudo else "0"
        out = await self.machine.run("unit", [sudo, what, self.unit], timeout=timeout)
        if out.exit_code:
            raise WatchkeeperError(
                f"`systemctl {what} {self.unit}` failed on {self.machine.shell.machine}: {out.said}",
                f"See `journalctl -u {self.unit}`; `doctor --rights --as sudoers` prints the line it needs.",
            )

    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """Run a command on its machine, as we are there. Raises WatchkeeperError when it does not end in time."""
        out = await self.machine.run("exec", [f"{timeout:g}", *command], timeout=timeout + 2.0)
        if out.exit_code == 124:
            raise WatchkeeperError(f"{command[0]} on {self.machine.shell.machine} did not end within {timeout:g} s.")
        return ExecResult(out.exit_code, out.stdout.decode(errors="replace"), out.stderr.decode(errors="replace"))

    async def _asked(self, command: Sequence[str], what: str) -> None:
        done = await self.exec(command)
        if done.exit_code:
            raise WatchkeeperError(f"{self.name}: it could not {what}: {done.stderr.strip()}")

    async def read_file(self, path: str) -> bytes:
        """The content of a regular file of its machine."""
        out = await self.machine.run("read", [path], timeout=30.0)
        if out.exit_code:
            where = f"{path} on {self.machine.shell.machine}"
            why = {3: "is not there", 4: "is not a regular file"}.get(out.exit_code, f"cannot be read: {out.said}")
            raise NotFound(f"{where} {why}.")
        return out.stdout

    async def write_file(self, path: str, content: bytes) -> None:
        """Replace a file as a whole; its folder must exist. Mode, owner and group of one that is there are kept."""
        out = await self.machine.run("write", [path], content=content, timeout=30.0)
        if out.exit_code:
            raise WatchkeeperError(f"{path} on {self.machine.shell.machine} cannot be written: {out.said}")

    async def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """Its log as it grows: the file it is known to log to, a unit's journal, or the file its output goes to.

        Lines of a file have no times of their own: they bear the time at which they were seen, from now on. A service
        that writes to none of these has no log that can be followed. Ends when it is told that it logs elsewhere.
        """
        moved = self._log_moved
        if path := self.log_file:
            async for line in self.machine.shell.follow(script("tail"), [path], until=moved):
                yield now(), line.decode(errors="replace").rstrip("\r\n")
        elif self.unit:
            start = f"{(since or now()).timestamp():.6f}"
            async for line in self.machine.shell.follow(script("journal"), [self.unit, start], until=moved):
                if entry := journal_entry(line):
                    yield entry
        else:
            await moved.wait()

    @property
    def log_file(self) -> str:
        """Where it logs to; empty where that is the journal, or cannot be known."""
        if self._told_log:
            return self._told_log
        out = self._recipe.stdout if self._recipe and not self.unit else ""
        return out if out.startswith("/") and not out.startswith("/dev/") and not out.endswith(" (deleted)") else ""

    async def _learn(self) -> None:
        """What it was started with, while it can be read: once for each start, and only for what is watched."""
        if self._recipe is not None or not self.watched or not self.running or self.process is None:
            return
        process = self.process
        # Of a title, the first word: one file may be many programs (redis-server is a link to redis-check-rdb).
        first = process.argv[0] if process.argv else process.comm
        program = first.split()[0] if process.titled else first
        out = await self.machine.run("describe", [str(process.pid), str(process.start), program], timeout=5.0)
        if out.exit_code == 0:
            self._recipe, self.machine.unwritten = recipe_of(out.stdout), True
