"""Makes sure that a Docker engine answers, and that a `compose` is there to use."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchkeeper_lab.command import attempt, run
from watchkeeper_lab.errors import LabError

Say = Callable[[str], None]

NO_ENGINE = "No Docker engine answers, and this is not root on Debian, where the lab could install one."
INSTALL_HINT = "Install Docker (https://docs.docker.com/engine/install/), start it, and try again."


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `started_pid` is the process id of the `dockerd` we started, or None if it was there."""

    version: str
    started_pid: int | None

    async def stop_if_ours(self) -> None:
        """Stop the engine if this lab started it; leave any other alone. Returns when it has ended."""
        if self.started_pid is None or not _alive(self.started_pid):
            return
        os.kill(self.started_pid, signal.SIGTERM)
        for _ in range(300):
            if not _alive(self.started_pid):
                return
            await asyncio.sleep(0.1)


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):  # ours, and ended: let it go
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def root_on_debian() -> bool:
    """Whether we may install Debian packages here."""
    release = Path("/etc/os-release")
    return os.geteuid() == 0 and release.exists() and "\nID=debian" in "\n" + release.read_text()


async def engine_version() -> str | None:
    """The version of the engine that answers, or None."""
    with contextlib.suppress(TimeoutError):
        answer = await attempt(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10.0)
        if answer.ok and answer.out.strip():
            return answer.out.strip()
    return None


async def apt_install(*packages: str) -> None:
    """Install Debian packages without starting their services and without questions. Root on Debian only."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if not (await attempt(command, timeout=600.0, env=quiet)).ok:
        await run(["apt-get", "update"], timeout=300.0, env=quiet)
        await run(command, timeout=600.0, env=quiet, hint="See `apt-get install` for what is wrong with the packages.")


async def ensure_engine(say: Say = print) -> Engine:
    """Return an engine that answers: the one that is there, or one installed and started by us (root on Debian).

    Raises `LabError` where there is none and we cannot help it.
    """
    if version := await engine_version():
        return Engine(version, None)
    if not root_on_debian():
        raise LabError(NO_ENGINE, INSTALL_HINT)
    if shutil.which("dockerd") is None:
        say("Installing the Docker engine (apt-get install docker.io)…")
        await apt_install("docker.io", "iptables")
    say("Starting the Docker engine…")
    log = Path(tempfile.gettempdir()) / f"watchkeeper-lab-dockerd-{os.getpid()}.log"
    daemon = _start_dockerd(log)
    for _ in range(300):
        if version := await engine_version():
            return Engine(version, daemon.pid)
        if daemon.poll() is not None:
            break
        await asyncio.sleep(0.2)
    daemon.terminate()
    last = (log.read_text(errors="replace").splitlines() or ["no output"])[-1]
    raise LabError(f"dockerd would not start: {last}", f"Its log is {log}.")


def _start_dockerd(log: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that it outlives the command that needed it."""
    with log.open("wb") as sink:
        return subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)


async def ensure_compose(say: Say = print) -> tuple[str, ...]:
    """The words that run compose here: `docker compose`, else `docker-compose`, else that one installed."""
    if (await attempt(["docker", "compose", "version"], timeout=15.0)).ok:
        return ("docker", "compose")
    if (await attempt(["docker-compose", "version"], timeout=15.0)).ok:
        return ("docker-compose",)
    if not root_on_debian():
        raise LabError(
            "Neither `docker compose` nor `docker-compose` is installed.",
            "Install the compose plug-in (https://docs.docker.com/compose/install/) and try again.",
        )
    say("Installing docker-compose (apt-get install docker-compose)…")
    await apt_install("docker-compose")
    return ("docker-compose",)
