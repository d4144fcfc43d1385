"""Makes sure that a Docker engine answers, and that a `compose` is there to use."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

from watchkeeper_lab.command import attempt, run
from watchkeeper_lab.errors import LabError, MissingError
from watchkeeper_lab.instance import state_home

Say = Callable[[str], None]

NO_ENGINE = "No Docker engine answers, and this is not root on Debian, where the lab could install one."
INSTALL_HINT = "Install Docker (https://docs.docker.com/engine/install/), start it, and try again."


async def engine_for_caller(say: Say = print) -> int:
    """Make sure that an engine answers. Where it had to be started, its process id, which is the caller's to stop;
    else 0. No lab stops an engine that was started so."""
    await ensure_engine(say)
    note, pid = _note(), _noted()
    note.unlink(missing_ok=True)
    return pid


def engine_is_ours() -> bool:
    """Whether the engine that runs is one that a lab started."""
    return bool(pid := _noted()) and _is_dockerd(pid)


async def stop_engine_if_ours() -> bool:
    """Stop the engine if a lab started it, and return when it has ended; any other is left alone (False)."""
    note, pid = _note(), _noted()
    note.unlink(missing_ok=True)
    if not pid or not _is_dockerd(pid):
        return False
    os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not _is_dockerd(pid):
            return True
        await asyncio.sleep(0.1)
    raise LabError(f"The Docker engine (process {pid}) did not stop within 30 s.", f"Stop it with `kill {pid}`.")


def _note() -> Path:
    """Where the process id of an engine that a lab started is kept."""
    return state_home() / "dockerd.pid"


def _noted() -> int:
    return int(note.read_text()) if (note := _note()).exists() else 0


def _is_dockerd(pid: int) -> bool:
    """Whether that process still runs and is an engine (process ids are used again)."""
    with contextlib.suppress(ChildProcessError):  # our own child, and ended: let it go
        os.waitpid(pid, os.WNOHANG)
    try:
        return "dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[0]
    except OSError:
        return False


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
    with _services_left_alone():
        if not (await attempt(command, timeout=600.0, env=quiet)).ok:
            await run(["apt-get", "update"], timeout=300.0, env=quiet)
            await run(command, timeout=600.0, env=quiet, hint="See `apt-get install` for what is wrong with them.")


@contextlib.contextmanager
def _services_left_alone() -> Generator[None]:
    """Debian's way to install a server without starting it; one that is there already is left as it is."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


_started: list[subprocess.Popen[bytes]] = []
"""Engines that this process has started: kept, for they are to outlive their handles."""


async def ensure_engine(say: Say = print) -> str:
    """Return the version of an engine that answers: one that is there, or one installed and started by us.

    The latter only as root on Debian. Raises `MissingError` where there is none and we cannot help it.
    """
    if version := await engine_version():
        return version
    if not root_on_debian():
        raise MissingError(NO_ENGINE, INSTALL_HINT)
    if shutil.which("dockerd") is None:
        say("Installing the Docker engine (apt-get install docker.io)…")
        await apt_install("docker.io", "iptables")
    say("Starting the Docker engine…")
    log = Path(tempfile.gettempdir()) / f"watchkeeper-lab-dockerd-{os.getpid()}.log"
    daemon = _start_dockerd(log)
    _started.append(daemon)
    for _ in range(300):
        if version := await engine_version():
            _note().parent.mkdir(parents=True, exist_ok=True)
            _note().write_text(str(daemon.pid))
            return version
        if daemon.poll() is not None:
            break
        await asyncio.sleep(0.2)
    daemon.terminate()
    last = (log.read_text(errors="replace").splitlines() or ["no output"])[-1]
    raise LabError(f"dockerd would not start: {last}", f"Its log is {log}.")


def _start_dockerd(log: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that it outlives the command that needed it. Without the width of our terminal: its
    `ps` would cut the commands of what runs in containers there, and nginx' flags with them."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with log.open("wb") as sink:
        return subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, env=environment
        )


async def ensure_compose(say: Say = print) -> tuple[str, ...]:
    """The words that run compose here: `docker compose`, else `docker-compose`, else that one installed."""
    if (await attempt(["docker", "compose", "version"], timeout=15.0)).ok:
        return ("docker", "compose")
    if (await attempt(["docker-compose", "version"], timeout=15.0)).ok:
        return ("docker-compose",)
    if not root_on_debian():
        raise MissingError(
            "Neither `docker compose` nor `docker-compose` is installed.",
            "Install the compose plug-in (https://docs.docker.com/compose/install/) and try again.",
        )
    say("Installing docker-compose (apt-get install docker-compose)…")
    await apt_install("docker-compose")
    return ("docker-compose",)
