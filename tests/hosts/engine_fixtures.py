"""A small image out of this machine's own binaries, and containers of it that are removed at the end."""

import asyncio
import contextlib
import io
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from watchkeeper.domain import HostState
from watchkeeper.hosts import ContainerHost, Engine

IMAGE = "watchkeeper-test-rooms:2"
_PROGRAMS = ("redis-server", "redis-cli", "sh", "sleep", "cat", "head", "tail", "ls")


async def docker(*arguments: str) -> str:
    """Run the docker command, as a person would."""
    process = await asyncio.create_subprocess_exec(
        "docker", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, f"docker {' '.join(arguments)}: {err.decode()}"
    return out.decode().strip()


def _rootfs() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("tmp", "data"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)
        there: set[str] = set()
        for program in _PROGRAMS:
            path = shutil.which(program)
            assert path, f"{program} is not installed"
            listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout.split()
            for file in (f"/bin/{program}={path}", *(f"{word}={word}" for word in listed if word.startswith("/"))):
                name, _, source = file.partition("=")
                if name not in there:
                    there.add(name)
                    tar.add(Path(source).resolve(), arcname=name.lstrip("/"))
    return packed.getvalue()


@pytest.fixture(scope="session")
def image() -> str:
    """The image's name; skips where there is no Docker engine."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine can be reached: `docker info` fails")
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        imported = ["docker", "import", "-c", "ENV PATH=/bin", "-", IMAGE]
        subprocess.run(imported, input=_rootfs(), capture_output=True, check=True)
    return IMAGE


@pytest.fixture
async def engine(image: str) -> AsyncIterator[Engine]:
    async with Engine() as opened:
        yield opened


@pytest.fixture(scope="session")
def network(image: str) -> Iterator[str]:
    """A network of our own: what others do to the default bridge is no matter here."""
    name = f"wk-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(["docker", "network", "create", name], capture_output=True, check=True)
    yield name
    subprocess.run(["docker", "network", "rm", name], capture_output=True, check=False)


Run = Callable[..., Awaitable[ContainerHost]]


@pytest.fixture
async def run(engine: Engine, image: str, network: str) -> AsyncIterator[Run]:
    """Start a container: `await run("sleep", "60", options=["-m", "64m"])`."""
    names: list[str] = []

    async def start(*command: str, options: list[str] | None = None) -> ContainerHost:
        names.append(f"wk-test-{uuid.uuid4().hex[:8]}")
        await docker("run", "-d", "--name", names[-1], "--network", network, *(options or []), image, *command)
        return next(host for host in await engine.hosts() if host.name == names[-1])

    yield start
    for name in names:
        with contextlib.suppress(AssertionError):  # removed by the test itself
            await docker("rm", "-f", name)


async def until_stopped(host: ContainerHost) -> HostState:
    """Its state once it has stopped."""
    await docker("wait", host.name)
    return await host.state()
