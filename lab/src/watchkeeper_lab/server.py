"""A Watchkeeper of the lab's own: started with default settings in mode `auto`, stopped at the end."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.loopback import free_port, loopback

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Server:
    """A Watchkeeper that runs: its address, its process id, and its output."""

    base_url: str
    pid: int
    log: Path
    folder: Path

    @property
    def token(self) -> str:
        """The operator's token, with which a person acts."""
        return (self.folder / "data" / "token").read_text().strip()


def command() -> str:
    """The `watchkeeper` command, beside this Python or on the path; raises `LabError` where it is not installed."""
    beside = Path(sys.executable).parent / "watchkeeper"
    found = str(beside) if beside.exists() else shutil.which("watchkeeper")
    if found is None:
        raise LabError("The command `watchkeeper` is not installed here.", "Run `make setup`.")
    return found


@asynccontextmanager
async def watchkeeper_up(
    folder: Path, *only: str, mode: str = "auto", config: str = "", port: int = 0
) -> AsyncGenerator[Server]:
    """Run `watchkeeper up` on this port, or a free one, with its data below `folder`, until the block is left.

    It watches what is named in `only`, as a rule one compose project (other labs on this machine are none of its
    business), and is otherwise as by default, or as in `config`, the text of a `watchkeeper.yaml`.

    Raises `LabError`, with the last line of its output, where it does not become ready.
    """
    port, log = port or free_port(), folder / "watchkeeper.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHKEEPER_")}
    environment |= {"WATCHKEEPER_MODE": mode, "WATCHKEEPER_ONLY": json.dumps(only)}
    (folder / "watchkeeper.yaml").write_text(config)
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            command(), "up", "--data", str(folder / "data"), "--port", str(port),
            cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        server = Server(f"http://127.0.0.1:{port}", process.pid, log, folder)
        await _until_ready(server, process)
        yield server
    finally:
        await asyncio.shield(_stop(process))


def watchkeeper_for(
    lab: Lab, folder: Path, mode: str = "auto", config: str = "", port: int = 0
) -> AbstractAsyncContextManager[Server]:
    """A Watchkeeper that watches this lab and nothing else, with `config` or as the lab would have it; see
    `watchkeeper_up`."""
    made = lab.instance
    return watchkeeper_up(folder, *made.watched, mode=mode, config=config or made.configuration(), port=port)


async def _until_ready(server: Server, process: asyncio.subprocess.Process) -> None:
    async with loopback(timeout=2.0) as client:
        for _ in range(int(READY_SECONDS / 0.1)):
            if process.returncode is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{server.base_url}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    lines = [line for line in server.log.read_text(errors="replace").splitlines() if line.strip()]
    said = lines[-1] if lines else "it printed nothing"
    raise LabError(f"`watchkeeper up` did not become ready: {said}", "Run `watchkeeper doctor`.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
