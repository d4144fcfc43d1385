"""The lab's services as plain processes: started, remembered by number and start, ended by them."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psycopg

from watchkeeper_lab.command import Finished, attempt
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.proc import Pid, working_in
from watchkeeper_lab.programs import programs
from watchkeeper_lab.services import Ground, ServiceState

ANSWER_SECONDS = 30.0
GRACE_SECONDS = 5.0
"""How long a process may take to end in order, before it is killed."""
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this very process has started: their remains are ours to clear away."""


class Processes:
    """The services of one lab. Whoever starts one again (the same program in the same folder) is recognised too."""

    ground: Ground = "process"

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._programs = programs(instance)

    async def states(self) -> dict[str, ServiceState]:
        """Every service that was ever started, as it is now."""
        known, found = self._known(), dict[str, ServiceState]()
        for service in sorted(self._programs):
            main, port = self._main(service), self._port(service)
            if main is None and service in known:
                found[service] = ServiceState(f"process {known[service].pid}", "exited", port=port)
            elif main is not None:
                where, started = f"process {main.pid}", f"{main.pid}@{main.start}"
                found[service] = ServiceState(where, "running", main.halted, started, port=port, pid=main.pid)
        return found

    async def start_all(self) -> None:
        """Start what does not run, and wait until PostgreSQL has the shop's database."""
        for service in self._programs:
            if self._main(service) is None:
                await self.start(service)
        await self._make_database()

    async def start(self, service: str) -> None:
        """Start it as it was; in a session of its own, so that it outlives the command that started it."""
        program = self._programs[service]
        group = pwd.getpwnam(program.user).pw_gid if program.user else None
        with program.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220
                program.argv,
                cwd=program.folder,
                env=dict(program.environment),
                user=program.user or None,
                group=group,
                extra_groups=[] if program.user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _children[process.pid] = process
        started = Pid.of(process.pid)
        if started is None:
            raise LabError(f"{service} ended at once: {last_line(program.log)}", f"Its log is {program.log}.")
        self._remember(service, started)

    async def kill(self, service: str) -> None:
        """SIGKILL to the service's main process."""
        if main := self._main(service):
            main.send(signal.SIGKILL)
            await _ended([main], GRACE_SECONDS)

    async def stop(self, service: str) -> None:
        """Ask it to end, as a service manager does, and wait until it has; by force after five seconds."""
        mains = [main for main in (self._main(service),) if main]
        for main in mains:
            main.send(signal.SIGCONT)
            main.send(self._programs[service].ends_on)
        if not await _ended(mains, GRACE_SECONDS):
            for main in mains:
                main.send(signal.SIGKILL)
            await _ended(mains, GRACE_SECONDS)

    async def restart(self, service: str) -> None:
        """End it and start it."""
        await self.stop(service)
        await self.start(service)

    async def pause(self, service: str) -> None:
        """Halt it (SIGSTOP), and return when it is."""
        if main := self._main(service):
            main.send(signal.SIGSTOP)
            await _until(lambda: main.halted or not main.alive)

    async def unpause(self, service: str) -> None:
        """Let it go on."""
        if main := self._main(service):
            main.send(signal.SIGCONT)
            await _until(lambda: not main.halted)

    async def limit_memory(self, service: str, size: int) -> None:
        """A plain process has no limit of its own."""
        raise LabError("A plain process has no memory limit to set.", "Faults that need one are left out.")

    async def execute(self, service: str, *words: str, timeout: float = 10.0) -> Finished:
        """Run it in the service's folder, as its user."""
        program = self._programs[service]
        return await attempt(words, timeout=timeout, env=program.environment, cwd=program.folder, user=program.user)

    async def read_file(self, service: str, path: str) -> str:
        """A file in its folder."""
        return (self._programs[service].folder / path).read_text()

    async def write_file(self, service: str, path: str, text: str) -> None:
        """A file in its folder."""
        (self._programs[service].folder / path).write_text(text)

    async def log(self, service: str, since: float) -> str:
        """Its whole log."""
        return self._programs[service].log.read_text(errors="replace")

    async def remove(self, service: str) -> None:
        """There are no replicas but the lab's own."""
        raise LabError(f"{service} is the lab's own.")

    async def end_all(self) -> None:
        """End every process of this lab, those that somebody started again in its folders too. Idempotent."""
        await asyncio.gather(*(self.stop(service) for service in self._programs))
        left = [one for service in self._programs for one in self._all(service)]
        for one in left:
            one.send(signal.SIGKILL)
        await _ended(left, GRACE_SECONDS)
        if any(one.alive for one in left):
            raise LabError(f"Process {left[0].pid} of lab `{self._instance.name}` does not end.", "See `ps`.")

    async def _make_database(self) -> None:
        url = self._instance.database_url.removesuffix("/shop") + "/postgres"
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2) as connection:
                    await connection.execute("CREATE DATABASE shop")
                return
            except psycopg.errors.DuplicateDatabase:
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self._main("postgres") is None:
                    log = self._programs["postgres"].log
                    raise LabError(f"PostgreSQL does not serve: {last_line(log)}", f"Its log is {log}.") from error
            await asyncio.sleep(0.05)

    def _main(self, service: str) -> Pid | None:
        """The service's main process: the one we started, or the one that was started in its stead; None without."""
        for child in list(_children.values()):
            if child.poll() is not None:
                del _children[child.pid]
        known = self._known().get(service)
        if known is not None and known.alive:
            return known
        heirs = self._all(service)
        if heirs:
            self._remember(service, heirs[0])
        return heirs[0] if heirs else None

    def _all(self, service: str) -> list[Pid]:
        program = self._programs[service]
        return working_in(program.folder.resolve(), program.name)

    def _port(self, service: str) -> int:
        return self._instance.ports[f"{service.upper().replace('-', '_')}_PORT"]

    def _known(self) -> dict[str, Pid]:
        path = self._instance.folder / "processes.json"
        if not path.exists():
            return {}
        return {service: Pid(**entry) for service, entry in json.loads(path.read_text()).items()}

    def _remember(self, service: str, main: Pid) -> None:
        known = {**self._known(), service: main}
        path = self._instance.folder / "processes.json"
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({name: asdict(one) for name, one in known.items()}))
        beside.replace(path)


def forget_cluster(instance: Instance) -> None:
    """Remove the temporary folder with the database, where there is one."""
    place = Path(instance.cluster).parent
    if instance.cluster and place.name.startswith(f"watchkeeper-lab-{instance.name}-"):
        shutil.rmtree(place, ignore_errors=True)


def last_line(log: Path) -> str:
    """What a program said last."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return lines[-1] if lines else "it said nothing"


async def _until(so: Callable[[], bool]) -> None:
    """Wait until it is so, which signals bring about within a moment."""
    while True:
        if so():
            return
        await asyncio.sleep(0.01)


async def _ended(processes: list[Pid], seconds: float) -> bool:
    """Wait until they have ended; False where that takes too long."""
    deadline = time.monotonic() + seconds
    while any(one.alive for one in processes):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    for one in processes:
        if child := _children.pop(one.pid, None):
            child.wait()
    return True
