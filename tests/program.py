"""`watchkeeper` in a process of its own, quickly: forked from one that has loaded it already.

To load it takes as long as most of what a test then asks of it. What is killed, stopped or refused is a process like
any other; how one begins from nothing is told by the tests of the lab and of agents, which start the command itself."""

import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["__main__", "tests.loaded"])


class Program:
    """As a `subprocess.Popen`: `watchkeeper ARGUMENTS`, begun at once. Without `output`, `stdout` is to be read; with
    `streams`, descriptors of its input, its output and its errors, it has these."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        folder: Path,
        output: IO[Any] | None = None,
        streams: Sequence[int] = (),
    ) -> None:
        self.stdout: IO[str] | None = None
        if output is not None:
            streams = [output.fileno()]
        if streams:
            self._process = _begun(arguments, environment, folder, streams)
            return
        reads, writes = os.pipe()
        self.stdout = os.fdopen(reads)
        try:
            self._process = _begun(arguments, environment, folder, [writes])
        finally:
            os.close(writes)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("watchkeeper", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _begun(arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, streams: Sequence[int]):
    said, along = ("watchkeeper", *arguments), [_Along(number) for number in streams]
    process = _forks.Process(target=_main, args=(said, dict(environment), folder, along), daemon=True)
    ready()
    process.start()
    return process


@functools.cache
def ready() -> None:
    """What they are forked from has begun to load."""
    with contextlib.chdir(ROOT):  # `tests` is imported from there
        forkserver.ensure_running()


class _Along:
    """A file that goes along to the new process."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self):
        return _taken, (DupFd(self._number),)


def _taken(number: Any) -> int:
    return number.detach()


def _main(arguments: tuple[str, ...], environment: dict[str, str], folder: Path, streams: list[int]) -> None:
    if streams[2:]:
        os.dup2(streams[0], 0)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.dup2(streams[-2:][0], 1)
    os.dup2(streams[-1], 2)
    for number in streams:
        os.close(number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = list(arguments)
    sys.path[:0] = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one]

    from watchkeeper.cli import main

    main()
