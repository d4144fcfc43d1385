"""A container as a host: how it is, what runs on it, and the handles on it."""

import asyncio
import posixpath
import struct
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

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
from watchkeeper.hosts import mounts, sockets, tars
from watchkeeper.hosts.answers import items, moment, part
from watchkeeper.hosts.engine import Engine
from watchkeeper.hosts.granted import Room, of_container
from watchkeeper.hosts.kept import FileStat
from watchkeeper.hosts.listed import Listed
from watchkeeper.hosts.networks import described, seen_here
from watchkeeper.hosts.story import Story
from watchkeeper.hosts.usage import ContainerStats, from_cgroup, from_engine

_FRESH_SECONDS = 2.0
"""How old what the engine said may be for what rarely changes (limits, addresses). Events make it stale at once."""
_FRAME = struct.Struct(">BxxxL")
_STOP_GRACE_SECONDS = 10.0
_REMOTE_SOCKETS = timedelta(minutes=1)


class ContainerHost:
    """One container, found by `Engine.hosts()`. Its incarnation is the container id.

    Raises WatchkeeperError (NotFound where it was removed) from everything but `state`.
    """

    def __init__(self, engine: Engine, incarnation: str, name: str, labels: Mapping[str, str]) -> None:
        self._engine = engine
        self._incarnation = incarnation
        self._name = name
        self._labels = dict(labels)
        self._shown: dict[str, Any] | None = None
        self._shown_at = self._sockets_at = now()
        self._sockets: list[sockets.Socket] | WatchkeeperError | None = None
        self._room = Room()
        self._running = Listed(lambda how: self._call("top", params=how))

    def __repr__(self) -> str:
        return f"<container {self._name} {self._incarnation[:12]}>"

    @property
    def id(self) -> str:
        return f"docker:{self._name}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def provider(self) -> str:
        return "docker"

    @property
    def kind(self) -> str:
        return "container"

    @property
    def labels(self) -> Mapping[str, str]:
        return self._labels

    @property
    def incarnation(self) -> str:
        return self._incarnation

    @property
    def engine(self) -> Engine:
        """The engine it is on."""
        return self._engine

    @property
    def story(self) -> Story:
        """What the engine told of it while we listened."""
        return self._engine.story(self._incarnation)

    def rename(self, name: str) -> None:
        """It bears another name now."""
        self._name = name

    def changed(self) -> None:
        """Something happened to it: what is known of it is stale."""
        self._shown = self._sockets = None
        self._running.forget()

    async def inspect(self, *, fresh: bool = True) -> dict[str, Any]:
        """All the engine knows of it. Contains the environment, and so secrets: never store or show it as it is."""
        if fresh or self._shown is None or now() - self._shown_at > timedelta(seconds=_FRESH_SECONDS):
            shown: dict[str, Any] = await self._call("json")
            self._shown, self._shown_at = shown, now()
            return shown
        return self._shown

    async def remembered(self) -> dict[str, Any]:
        """The same as it was told last, however long ago, so that many are cheap to ask."""
        return self._shown if self._shown is not None else await self.inspect(fresh=False)

    async def state(self) -> HostState:
        """How it is now. Never raises: `gone` where it was removed, `unreachable` where the engine does not answer."""
        try:
            shown = await self.inspect()
        except NotFound:
            return HostState("gone")
        except (WatchkeeperError, TimeoutError):
            return HostState("unreachable")
        state: dict[str, Any] = shown["State"]
        started, finished = moment(state.get("StartedAt")), moment(state.get("FinishedAt"))
        status = str(state["Status"])
        stopped = status in ("exited", "dead")
        stop_signal = str(part(shown, "Config").get("StopSignal") or "SIGTERM")
        return HostState(
            status=status,
            pid=int(state.get("Pid") or 0),
            # Milliseconds of the last start: changes with every start, whoever started it and whoever listened.
            start_count=int(started.timestamp() * 1000) if started else 0,
            started_at=started,
            finished_at=finished,
            exit_code=int(state.get("ExitCode") or 0) if stopped or status == "restarting" else None,
            stopped_by=await self._stopped_by(shown, finished, stop_signal) if stopped and finished else "",
            health=str(part(state, "Health").get("Status") or ""),
            stopping=status == "running" and self.story.stopping(now(), stop_signal),
        )

    async def _stopped_by(self, shown: dict[str, Any], finished: datetime, stop_signal: str) -> StopCause:
        oom_killed = bool(part(shown, "State").get("OOMKilled"))
        if not self.story.knows_end(finished):
            await self._engine.recall(self._incarnation, finished)
        cause = self.story.cause(finished, stop_signal=stop_signal, oom_killed=oom_killed)
        return self._engine.ends.recall(self._incarnation, finished, cause)

    async def processes(self) -> Sequence[str]:
        """The command it is started with, and while it runs every process in it. May contain secrets."""
        shown = await self.inspect(fresh=False)
        entry = " ".join([str(shown.get("Path") or ""), *items(shown, "Args")]).strip()
        running: list[str] = []
        if shown["State"].get("Running") and not shown["State"].get("Paused"):
            running = await self._running()
        return tuple(dict.fromkeys([*running, entry]))

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        """Published on this machine first, then the container's own addresses; empty while it has none."""
        shown = await self.inspect(fresh=False)
        published: list[dict[str, str]] = items(part(shown, "NetworkSettings", "Ports"), f"{port}/tcp")
        found = [
            ("127.0.0.1" if p.get("HostIp") in ("", None, "0.0.0.0", "::", "::1") else p["HostIp"], int(p["HostPort"]))
            for p in published
        ]
        networks = part(shown, "NetworkSettings", "Networks")
        found += [(str(n["IPAddress"]), port) for n in networks.values() if n.get("IPAddress")]
        if part(shown, "HostConfig").get("NetworkMode") == "host":
            found.append(("127.0.0.1", port))
        return tuple(dict.fromkeys(found))

    async def environment(self) -> Mapping[str, str]:
        """The variables its main process is started with. Contains secrets: never store or show them."""
        entries: list[str] = items(part(await self.inspect(fresh=False), "Config"), "Env")
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    async def network(self) -> Network:
        """Its networks and published ports from the engine; its sockets from the kernel of this machine.

        With a remote engine they are read by a command in it, seldom, for that starts a process there.
        """
        shown = await self.inspect(fresh=False)
        told = described(shown, f"engine:{self._engine.url or ''}")
        if not shown["State"].get("Running"):
            return told
        shared = str(part(shown, "HostConfig").get("NetworkMode")).startswith(("host", "container:"))
        pid = int(shown["State"].get("Pid") or 0)
        if here := await seen_here(pid, self._incarnation, shared=shared):
            namespace, machine, found = here
            told = replace(told, namespace=namespace or told.namespace, machine=machine or told.machine)
        elif shared:
            return replace(told, unknown="it shares a network namespace on another machine")
        else:
            try:
                found = await self._read_sockets()
            except WatchkeeperError as problem:
                return replace(told, unknown=f"its sockets cannot be read from here ({problem.what.rstrip('.')})")
        return replace(told, listening=sockets.listening(found), connections=sockets.connections(found))

    async def _read_sockets(self) -> list[sockets.Socket]:
        """By a command in it, at most once a minute. Raises WatchkeeperError."""
        if self._sockets is None or now() - self._sockets_at > _REMOTE_SOCKETS:
            self._sockets_at = now()
            self._sockets = WatchkeeperError("it did not answer")
            try:
                done = await self.exec(["cat", *(f"/proc/net/{name}" for name in sockets.FILES)], timeout=3.0)
                self._sockets = sockets.parse(done.stdout) if done.stdout else WatchkeeperError("it has no `cat`")
            except WatchkeeperError as problem:
                self._sockets = problem
        if isinstance(self._sockets, WatchkeeperError):
            raise self._sockets
        return self._sockets

    async def limits(self) -> Limits:
        """As the engine tells them. Without one for memory, on this machine, also what there is for it."""
        shown = await self.inspect(fresh=False)
        limits = of_container(part(shown, "HostConfig"))
        if limits.memory_bytes or not (uses := from_cgroup(int(shown["State"].get("Pid") or 0), self._incarnation)):
            return limits
        return replace(limits, spare_bytes=self._room.beside(uses.memory_used_bytes))

    async def stats(self) -> ContainerStats:
        """What it has used since its start; quick on this machine, a second with a remote engine."""
        pid = int(part(await self.inspect(fresh=False), "State").get("Pid") or 0)
        if stats := from_cgroup(pid, self._incarnation):
            return stats
        raw: Any = await self._call("stats", params={"stream": "false", "one-shot": "true"})
        if not isinstance(raw, dict):  # while it is being removed the engine says nothing at all
            raise WatchkeeperError("The engine does not tell what it uses.")
        return from_engine(cast("dict[str, Any]", raw))

    async def start(self) -> None:
        """Start it; nothing happens if it runs."""
        await self._call("start", "POST", timeout=30.0)
        self.changed()

    async def restart(self, *, grace: float = _STOP_GRACE_SECONDS) -> None:
        """Stop it, by force after `grace` seconds, or sooner where it declares that it needs less (compose's
        `stop_grace_period`), and start it. A paused one is unpaused first: it could not hear."""
        shown = await self.inspect()
        declared = part(shown, "Config").get("StopTimeout")
        grace = min(grace, declared) if isinstance(declared, int) and declared >= 0 else grace
        if shown["State"].get("Paused"):
            await self.unpause()
        await self._call("restart", "POST", params={"t": str(int(grace))}, timeout=grace + 30.0)
        self.changed()

    async def pause(self) -> None:
        """Freeze all its processes."""
        await self._call("pause", "POST", timeout=10.0)
        self.changed()

    async def unpause(self) -> None:
        """Let a frozen one go on."""
        await self._call("unpause", "POST", timeout=10.0)
        self.changed()

    async def update_limits(self, *, memory_bytes: int) -> None:
        """Set its memory limit while it runs; swap on top of it stays what it was."""
        config = part(await self.inspect(), "HostConfig")
        swap, memory = int(config.get("MemorySwap") or 0), int(config.get("Memory") or 0)
        # The engine's MemorySwap is memory and swap together, and must not lie below memory; -1 is without limit.
        total = memory_bytes + max(0, swap - memory) if swap > 0 else -1
        limits = {"Memory": memory_bytes, "MemorySwap": total}
        await self._call("update", "POST", data=limits, timeout=10.0)
        self.changed()

    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """Run a command in it. Raises WatchkeeperError when it does not end within `timeout` seconds."""
        wanted = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        ident = (await self._call("exec", "POST", data=wanted))["Id"]
        out: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        try:
            async with asyncio.timeout(timeout):
                begin = {"Detach": False, "Tty": False}
                async with self._engine.open(f"exec/{ident}/start", "POST", data=begin, timeout=None) as response:
                    async for stream, data in frames(response.content):
                        out.setdefault(stream, bytearray()).extend(data)
        except TimeoutError:
            raise WatchkeeperError(f"{command[0]} in {self._name} did not end within {timeout:g} s.") from None
        ended: dict[str, Any] = await self._engine.call(f"exec/{ident}/json")
        return ExecResult(
            int(ended.get("ExitCode") or 0), out[1].decode(errors="replace"), out[2].decode(errors="replace")
        )

    async def read_file(self, path: str) -> bytes:
        """The content of a regular file, also while it is stopped."""
        archive: bytes = await self._call("archive", params={"path": path}, timeout=30.0)
        if (content := tars.content(archive)) is None:
            raise NotFound(f"{path} in {self._name} is not a regular file.")
        return content

    async def stat_file(self, path: str) -> FileStat:
        """Size and time of a file, also while it is stopped. Raises NotFound."""
        address = f"containers/{self._incarnation}/archive"
        async with self._engine.open(address, "HEAD", params={"path": path}, timeout=5.0) as response:
            return FileStat.of(response.headers.get("X-Docker-Container-Path-Stat", ""))

    async def write_file(self, path: str, content: bytes) -> None:
        """Put a file there; its folder must exist. Mode, owner and group of one that is there are kept. One that is
        mounted is written through to where it is mounted from. Raises Refused where that may only be read."""
        try:
            before = tars.first(await self._call("archive", params={"path": path}, timeout=30.0))
        except NotFound:
            before = None
        member = tars.like(before, posixpath.basename(path), len(content))
        shown = await self.inspect()
        if why := mounts.barred(shown, path):
            raise Refused(why)
        if mount := mounts.alone(shown, path):
            await self._write_through(path, member, content, str(mount.get("Source", "elsewhere")))
            return
        await self._put(posixpath.dirname(path) or "/", member, content)

    async def _put(self, folder: str, member: tarfile.TarInfo, content: bytes) -> None:
        await self._call("archive", "PUT", params={"path": folder}, data=tars.packed(member, content), timeout=30.0)

    async def _write_through(self, path: str, member: tarfile.TarInfo, content: bytes, source: str) -> None:
        member.name = f".watchkeeper-{member.name}"
        await self._put("/tmp", member, content)
        beside = f"/tmp/{member.name}"
        done = await self.exec(["sh", "-c", 'cat "$0" >"$1"; code=$?; rm -f "$0"; exit $code', beside, path])
        if done.exit_code:
            said = (done.stderr or done.stdout).strip()
            raise WatchkeeperError(f"{path}, which is mounted from {source}, cannot be written: {said}")

    async def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """Its log lines with their times, as they come; over stops and starts, until it is removed.

        From `since` on, by default from now on. Raises nothing for an engine that goes away: it goes on later.
        """
        last = since or now()
        while True:
            try:
                async for at, line in self._log(since=last, follow=True, tail="all"):
                    if at > last:
                        last = at
                        yield at, line
                await self.inspect()
            except NotFound:
                return
            except (WatchkeeperError, TimeoutError):
                pass
            await asyncio.sleep(0.5)  # it is stopped: nothing to follow until it starts

    async def tail(self, lines: int) -> list[tuple[datetime, str]]:
        """Its last log lines."""
        return [entry async for entry in self._log(since=None, follow=False, tail=str(lines))]

    async def _log(self, *, since: datetime | None, follow: bool, tail: str) -> AsyncIterator[tuple[datetime, str]]:
        shown = await self.inspect(fresh=False)
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow)), "tail": tail}
        if since:
            params["since"] = f"{since.timestamp():.9f}"
        path = f"containers/{self._incarnation}/logs"
        async with self._engine.open(path, params=params, timeout=None if follow else 10.0) as response:
            if part(shown, "Config").get("Tty"):
                async for line in response.content:
                    if entry := _entry(line):
                        yield entry
                return
            async for _, data in frames(response.content):
                if entry := _entry(data):
                    yield entry

    async def _call(
        self,
        what: str,
        method: str = "GET",
        *,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float = 5.0,
    ) -> Any:
        path = f"containers/{self._incarnation}/{what}"
        return await self._engine.call(path, method, params=params, data=data, timeout=timeout)


async def frames(content: Any) -> AsyncIterator[tuple[int, bytes]]:
    """The engine's multiplexed stream: (1 stdout or 2 stderr, data)."""
    while True:
        try:
            stream, size = _FRAME.unpack(await content.readexactly(_FRAME.size))
            yield stream, await content.readexactly(size)
        except asyncio.IncompleteReadError:
            return


def _entry(data: bytes) -> tuple[datetime, str] | None:
    stamp, _, text = data.decode(errors="replace").rstrip("\r\n").partition(" ")
    at = moment(stamp)
    return (at, text) if at else None
