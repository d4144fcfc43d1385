"""The traffic processes of one lab: started, remembered by process id, ended."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from watchkeeper_lab.instance import Instance
from watchkeeper_lab.pace import LONGEST, RATE


class Visitors:
    """Traffic of one lab. Process ids are kept in the lab's folder, so that any later command can end them."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, *, rate: float = RATE, seconds: float = LONGEST, extra: bool = False) -> int:
        """Start a process that sends `rate` requests per second for `seconds`; return its process id."""
        url, module = self._instance.front_url, self._instance.stack.traffic
        command = [sys.executable, "-m", module, "--url", url, "--ledger", str(self._instance.ledger_path)]
        command += ["--rate", str(rate), "--seconds", str(seconds)]
        with (self._instance.folder / "traffic.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._children[process.pid] = process
        with self._pids(extra).open("a") as pids:
            pids.write(f"{process.pid}\n")
        return process.pid

    def running(self) -> list[int]:
        """Process ids of all traffic that runs now."""
        return [pid for extra in (False, True) for pid in self._read(extra) if self._is_ours(pid)]

    async def end(self, *, extra_only: bool = False) -> None:
        """End the traffic, or only what a fault added, and return when it has ended."""
        for extra in (True,) if extra_only else (True, False):
            pids = [pid for pid in self._read(extra) if self._is_ours(pid)]
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            for pid in pids:
                await self._gone(pid)
            self._pids(extra).unlink(missing_ok=True)

    async def _gone(self, pid: int) -> None:
        for attempt in range(100):
            if not self._is_ours(pid):
                return
            if attempt == 60:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)

    def _pids(self, extra: bool) -> Path:
        return self._instance.folder / ("traffic-extra.pids" if extra else "traffic.pids")

    def _read(self, extra: bool) -> list[int]:
        path = self._pids(extra)
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def _is_ours(self, pid: int) -> bool:
        """Whether that process still runs and is traffic of this very lab (process ids are used again)."""
        if child := self._children.get(pid):
            return child.poll() is None
        module, ledger = self._instance.stack.traffic, str(self._instance.ledger_path)
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return _is_ours_by_ps(pid, module, ledger) if not Path("/proc/self").exists() else False
        return module in words and ledger in words


def _is_ours_by_ps(pid: int, module: str, ledger: str) -> bool:
    """The same where there is no /proc."""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return module in shown and ledger in shown
