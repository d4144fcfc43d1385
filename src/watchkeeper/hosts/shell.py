"""A shell on a machine: the one seam through which plain processes and units are handled, here and over SSH.

A script, its arguments and its content all travel over standard input, encoded in an alphabet without meaning to a
shell. Nothing is ever quoted into a command, so nothing can break out of one, whatever it contains.
"""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from watchkeeper.domain import WatchkeeperError

COMMAND = ("sh", "-s")
"""What is run, always and whatever is asked."""
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@")
_SCRIPTS = Path(__file__).parent / "scripts"
_END_SECONDS = 5.0
_LINE_BYTES = 1 << 17
"""The longest log line that is read as one."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a script gave."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> str:
        """The last words, for a person."""
        return " ".join((self.stderr or self.stdout).decode(errors="replace").split())[-300:]


class Shell(Protocol):
    """A shell on one machine."""

    @property
    def machine(self) -> str:
        """The machine's name, for people: `this machine`, `db1`."""
        ...

    async def run(
        self, script: str, arguments: Sequence[str] = (), *, content: bytes | None = None, timeout: float = 10.0
    ) -> Output:
        """Run a script with arguments ($1…) and, on its standard input, content (none: empty).

        Raises WatchkeeperError where the machine cannot be reached, or the script does not end in `timeout` seconds;
        then it is ended where that is possible.
        """
        ...

    def follow(
        self, script: str, arguments: Sequence[str] = (), *, until: asyncio.Event | None = None
    ) -> AsyncIterator[bytes]:
        """The lines a script writes, as it writes them, until it ends, or `until` is set. Raises WatchkeeperError."""
        ...

    async def reach(self, port: int, addresses: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """From where this machine's TCP port, listening on these addresses, can be reached from here; best first."""
        ...

    async def close(self) -> None: ...


@cache
def script(name: str) -> str:
    """A script of ours."""
    return (_SCRIPTS / f"{name}.sh").read_text()


def compose(text: str, arguments: Sequence[str], content: bytes | None) -> bytes:
    """What is written to the standard input of `sh -s`.

    All of it is one function that is called in the last line: a connection that breaks half way runs nothing, and
    no command in it can read on in the script. Raises WatchkeeperError for an argument with a NUL, which no program
    can be given.
    """
    lines = ["LC_ALL=C; export LC_ALL", "set --"]
    for argument in arguments:
        # The x keeps newlines at the end, which $( ) drops.
        lines += [f"x=$(printf %b '{_encoded(argument)}x')", 'set -- "$@" "${x%x}"']
    lines += ["unset x", "main() {", text, "}"]
    if content is None:
        lines += ['main "$@" </dev/null; exit', ""]
    else:
        lines += [
            "base64 -d <<'END' | main \"$@\"",
            base64.encodebytes(content).decode().rstrip("\n"),
            "END",
            "exit",
            "",
        ]
    return "\n".join(lines).encode()


def _encoded(argument: str) -> str:
    raw = os.fsencode(argument)
    if 0 in raw:
        raise WatchkeeperError("An argument of a command cannot contain a NUL character.")
    return "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in raw)


class LocalShell:
    """A shell on this machine."""

    machine = "this machine"

    async def run(
        self, script: str, arguments: Sequence[str] = (), *, content: bytes | None = None, timeout: float = 10.0
    ) -> Output:
        told = compose(script, arguments, content)
        process = await self._start()
        try:
            async with asyncio.timeout(timeout):
                out, err = await process.communicate(told)
        except TimeoutError:
            raise WatchkeeperError(f"A script on this machine did not end within {timeout:g} s.") from None
        finally:
            await _ended(process)
        return Output(process.returncode or 0, out, err)

    async def follow(
        self, script: str, arguments: Sequence[str] = (), *, until: asyncio.Event | None = None
    ) -> AsyncIterator[bytes]:
        process = await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(compose(script, arguments, None))
            process.stdin.close()
            with ended_by(until, lambda: _kill(process)):
                while line := await _line(process.stdout):
                    yield line
        except OSError as problem:
            raise WatchkeeperError(f"A script on this machine broke off: {problem}.") from None
        finally:
            await _ended(process)

    async def reach(self, port: int, addresses: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """On loopback where it listens there or everywhere; else where it listens."""
        everywhere = any(address in ("0.0.0.0", "::", "127.0.0.1") for address in addresses)
        if everywhere or not addresses:
            return (("127.0.0.1", port),)
        return tuple((address, port) for address in addresses)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, limit=_LINE_BYTES, cwd="/"
        )


@contextmanager
def ended_by(until: asyncio.Event | None, end: Callable[[], object]) -> Generator[None]:
    """While inside, `end` is called once `until` is set."""
    if until is None:
        yield
        return
    waits = asyncio.create_task(until.wait(), name="until it is followed elsewhere")
    waits.add_done_callback(lambda done: None if done.cancelled() else end())
    try:
        yield
    finally:
        waits.cancel()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line; of one that is too long to be held, that it was."""
    try:
        return await stream.readline()
    except ValueError:
        return f"(up to {2 * _LINE_BYTES:,} bytes of a line without an end were not read)\n".encode()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End it and everything it started, but for what has a session of its own.

    What it had written is read, and forgotten: a process whose output nobody reads does not count as over.
    """
    if process.returncode is None:
        _kill(process)
        streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.gather(process.wait(), *map(_forgotten, streams))


async def _forgotten(stream: asyncio.StreamReader) -> None:
    with suppress(RuntimeError):  # somebody reads it still, and is about to end
        while await stream.read(1 << 16):
            pass


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
