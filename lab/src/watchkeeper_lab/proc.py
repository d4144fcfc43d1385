"""Processes of this machine, told apart from others that were given the same number later."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Pid:
    """A process: its number, and when it started, in whatever the system counts. Both together are never used again."""

    pid: int
    start: str

    @classmethod
    def of(cls, pid: int) -> "Pid | None":
        """The process of that number as it is now; None where there is none, or only its remains (a zombie)."""
        found = _stat(pid)
        return None if found is None or found[0] in "ZX" else cls(pid, found[1])

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Pid.of(self.pid) == self

    @property
    def halted(self) -> bool:
        """Whether it was halted (SIGSTOP)."""
        found = _stat(self.pid)
        return found is not None and found[0] in "Tt" and found[1] == self.start

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process; nothing happens where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            if not hasattr(os, "pidfd_open"):
                if self.alive:
                    os.kill(self.pid, number)
                return
            handle = os.pidfd_open(self.pid)  # from here on the number cannot be given to another unnoticed
            try:
                if self.alive:
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def _stat(pid: int) -> tuple[str, str] | None:
    """State letter and start."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return None if (PROC / "self").exists() else _stat_by_ps(pid)


def _stat_by_ps(pid: int) -> tuple[str, str] | None:
    """The same where there is no /proc."""
    shown = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    words = shown.stdout.split(maxsplit=1)
    return (words[0][0], words[1].strip()) if len(words) == 2 else None


def working_in(folder: Path, program: str) -> list[Pid]:
    """Processes of this program whose working directory is this folder, parents before their children."""
    found: dict[int, int] = {}
    for pid, parent in _working_in(folder, program):
        found[pid] = parent
    first = sorted(found, key=lambda pid: (found[pid] in found, pid))
    return [one for pid in first if (one := Pid.of(pid))]


def _working_in(folder: Path, program: str) -> Iterator[tuple[int, int]]:
    for entry in PROC.glob("[0-9]*"):
        try:
            if Path(os.readlink(entry / "cwd")) != folder:
                continue
            if not Path(os.readlink(entry / "exe")).name.removesuffix(" (deleted)").startswith(program):
                continue
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        yield int(entry.name), parent
