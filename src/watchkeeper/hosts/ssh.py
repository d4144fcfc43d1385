"""A shell on another machine, over one SSH connection that is kept open. The host key is always checked."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts.shell import COMMAND, Output, compose, ended_by

_CONNECT_SECONDS = 6.0
_KEEPALIVE_SECONDS = 5.0
_ANSWER_SECONDS = 2.0
_KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
_LOOPBACK = ("127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")


class SshShell:
    """A shell on a machine reached over SSH.

    The connection is opened when it is first needed and again when it broke. A machine that hangs is cut off: a script
    after its timeout, the connection when it does not answer beside it. `~/.ssh/config` is not read.
    """

    def __init__(
        self,
        name: str,
        *,
        address: str = "",
        port: int = 22,
        user: str | None = None,
        key: str | None = None,
        passphrase: str | None = None,
        known_hosts: Path | None = None,
        host_key: str | None = None,
    ) -> None:
        self.machine = name
        self.address = address or name
        self.port = port
        self._user = user
        self._key = key
        """The private key itself; None: the agent's, and the usual files in `~/.ssh`."""
        self._passphrase = passphrase
        self._known_hosts = known_hosts
        self._host_key = host_key
        self._connection: Any = None
        self._opening = asyncio.Lock()
        self._forwards: dict[tuple[str, int], Any] = {}
        self._checks: set[asyncio.Task[None]] = set()

    async def run(
        self, script: str, arguments: Sequence[str] = (), *, content: bytes | None = None, timeout: float = 10.0
    ) -> Output:
        told = compose(script, arguments, content)
        connection: Any = None
        try:
            async with asyncio.timeout(timeout):
                connection, process = await self._process()
                out, err = await self._while_open(connection, process.communicate(told))
        except TimeoutError:
            if connection is not None:
                self._check(connection)
            raise WatchkeeperError(f"A script on {self.machine} did not end within {timeout:g} s.") from None
        except Exception as problem:
            raise self._said(problem) from None
        if process.returncode is None:
            raise WatchkeeperError(f"The connection to {self.machine} broke while a script ran there.")
        return Output(int(process.returncode), bytes(out), bytes(err))

    async def follow(
        self, script: str, arguments: Sequence[str] = (), *, until: asyncio.Event | None = None
    ) -> AsyncIterator[bytes]:
        process: Any = None
        try:
            _, process = await self._process()
            process.stdin.write(compose(script, arguments, None))
            process.stdin.write_eof()
            with ended_by(until, process.close):
                async for line in process.stdout:
                    yield bytes(line)
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except Exception as problem:
            raise self._said(problem) from None
        finally:
            if process is not None:
                process.close()

    async def reach(self, port: int, addresses: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """Through this connection, so that what listens on its loopback alone is reached too and nothing goes in clear;
        where it does not forward, at the machine's address."""
        near = not addresses or any(address in (*_LOOPBACK, *_EVERYWHERE) for address in addresses)
        there = "127.0.0.1" if near else addresses[0]
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return (("127.0.0.1", await self._forward(there, port)),)
        except Exception:  # whoever asks tries the address, and is told why it fails
            return ((self.address, port),)

    async def close(self) -> None:
        for task in self._checks:
            task.cancel()
        if self._connection is not None:
            self._connection.abort()
            with suppress(Exception):
                await asyncio.wait_for(self._connection.wait_closed(), _ANSWER_SECONDS)
            self._connection = None

    async def _forward(self, there: str, port: int) -> int:
        connection = await self._connected()
        kept = self._forwards.get((there, port))
        if kept is None:
            kept = self._forwards[there, port] = await connection.forward_local_port("127.0.0.1", 0, there, port)
        return int(kept.get_port())

    async def _process(self) -> tuple[Any, Any]:
        """A shell that waits for its script; on a fresh connection where the kept one is dead."""
        for last in (False, True):
            connection = await self._connected()
            try:
                opening = connection.create_process(" ".join(COMMAND), encoding=None)
                return connection, await self._while_open(connection, opening)
            except Exception as problem:
                if last or not connection.is_closed():
                    raise self._said(problem) from None
        raise AssertionError

    async def _while_open(self, connection: Any, work: Coroutine[Any, Any, Any]) -> Any:
        """What the work gives. Raises WatchkeeperError once the connection is closed: asyncssh may wait for ever."""
        task, closed = asyncio.ensure_future(work), asyncio.ensure_future(connection.wait_closed())
        try:
            await asyncio.wait({task, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise WatchkeeperError(f"The connection to {self.machine} broke.")
            return task.result()
        finally:
            closed.cancel()
            task.cancel()  # not awaited: on a dead connection asyncssh does not let go of it
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def _connected(self) -> Any:
        async with self._opening:
            if self._connection is None or self._connection.is_closed():
                self._forwards.clear()
                try:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        self._connection = await self._connect()
                except WatchkeeperError:
                    raise
                except Exception as problem:
                    raise self._said(problem) from None
            return self._connection

    async def _connect(self) -> Any:
        asyncssh = library()
        keys: dict[str, Any] = {}
        if self._key is not None:
            keys = {"client_keys": [asyncssh.import_private_key(self._key, self._passphrase)], "agent_path": None}
        if self._user:
            keys["username"] = self._user
        return await asyncssh.connect(
            self.address,
            self.port,
            known_hosts=self._trusted(asyncssh),
            config=None,
            preferred_auth="publickey",
            keepalive_interval=_KEEPALIVE_SECONDS,
            keepalive_count_max=2,
            **keys,
        )

    def _trusted(self, asyncssh: Any) -> Any:
        if self._host_key:
            return asyncssh.import_known_hosts(f"{_bracketed(self.address, self.port)} {self._host_key}\n")
        files = [self._known_hosts] if self._known_hosts else [path.expanduser() for path in _KNOWN_HOSTS]
        texts = [path.read_text(errors="replace") for path in files if path.is_file()]
        return asyncssh.import_known_hosts("\n".join(texts) + "\n")

    def _check(self, connection: Any) -> None:
        """Cut a connection that does not answer: the next who asks opens another."""

        async def answers() -> None:
            asked: asyncio.Future[Any] = asyncio.ensure_future(connection.run("true"))
            asked.add_done_callback(lambda done: None if done.cancelled() else done.exception())
            done, _ = await asyncio.wait({asked}, timeout=_ANSWER_SECONDS)
            if not done or asked.exception():
                connection.abort()
                asked.cancel()

        task = asyncio.create_task(answers(), name=f"does {self.machine} answer")
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    def _said(self, problem: Exception) -> WatchkeeperError:
        if isinstance(problem, WatchkeeperError):
            return problem
        asyncssh = library()
        where = f"{self.machine} ({self.address}, port {self.port})"
        said = " ".join(str(problem).split())
        if isinstance(problem, asyncssh.HostKeyNotVerifiable):
            return WatchkeeperError(
                f"The host key of {where} is not the one that is known, or none is known: {said}.",
                "Compare its fingerprint with what its owner reads there: "
                f"ssh-keyscan -p {self.port} {self.address} | ssh-keygen -lf - ; "
                "then put the line of ssh-keyscan into known_hosts, or its key into `host_key`.",
            )
        if isinstance(problem, asyncssh.PermissionDenied):
            user = self._user or "this user"
            return WatchkeeperError(
                f"{where} does not let {user} in with this key.",
                "Put the public key into ~/.ssh/authorized_keys there, or set `user` and `key`.",
            )
        if isinstance(problem, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
            return WatchkeeperError(f"The key for {where} cannot be read: {said}.", "Set `key`, and its `passphrase`.")
        if isinstance(problem, TimeoutError):
            said = "no answer in time"
        return WatchkeeperError(f"{where} cannot be reached over SSH: {said or type(problem).__name__}.")


def library() -> Any:
    """asyncssh, which is an extra. Raises WatchkeeperError that says how to install it."""
    try:
        import asyncssh
    except ImportError:
        raise WatchkeeperError(
            "SSH hosts need the package asyncssh, which is not installed.", "pip install 'watchkeeper[ssh]'"
        ) from None
    return asyncssh


def _bracketed(address: str, port: int) -> str:
    return address if port == 22 else f"[{address}]:{port}"
