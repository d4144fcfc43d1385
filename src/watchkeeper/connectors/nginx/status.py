"""A few bytes of HTTP, asked of a server from wherever it lets somebody ask: from here, from within its network
namespace, or by a command on its host."""

import asyncio
import ctypes
import os
import re
import socket
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from watchkeeper.connectors.nginx.formats import NAME
from watchkeeper.domain import Host, WatchkeeperError

SECONDS = 0.8
_NAMESPACE = 0x40000000  # CLONE_NEWNET
_NUMBERS = re.compile(
    r"Active connections:\s*(\d+).*?requests\s+(\d+)\s+(\d+)\s+(\d+).*?"
    r"Reading:\s*(\d+)\s+Writing:\s*(\d+)\s+Waiting:\s*(\d+)",
    re.DOTALL,
)
_BY_COMMAND = """
url="http://$1:$2$4"
if command -v curl >/dev/null 2>&1; then exec curl -s -m 2 -A watchkeeper -H "Host: $3" "$url"; fi
if command -v wget >/dev/null 2>&1; then exec wget -q -T 2 -U watchkeeper --header "Host: $3" -O - "$url"; fi
exec bash -c '
  exec 3<>"/dev/tcp/$1/$2" || exit 1
  printf "GET %s HTTP/1.0\\r\\nHost: %s\\r\\nUser-Agent: watchkeeper\\r\\n\\r\\n" "$4" "$3" >&3
  cat <&3' bash "$1" "$2" "$3" "$4"
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` is 0 where the connection was closed without a word."""

    status: int
    body: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """What stub_status says (nginx.org, "ngx_http_stub_status_module")."""

    active: int
    accepted: int
    handled: int
    requests: int
    reading: int
    writing: int
    waiting: int


def parsed(body: str) -> Status | None:
    """None for a page that is no stub_status."""
    found = _NUMBERS.search(body)
    return Status(*map(int, found.groups())) if found else None


async def ask(
    address: str,
    port: int,
    path: str,
    *,
    name: str = "",
    tls: bool = False,
    within: int = 0,
    timeout: float = SECONDS,
) -> Answer:
    """One GET; `within` is a process in whose network namespace it is asked. Raises OSError (TimeoutError is one)."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    host = name or (f"[{address}]" if ":" in address else address)
    said = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {NAME}\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(timeout):
        context = _lenient() if tls else None
        if within:
            one = await socket_within(within, socket.AF_INET6 if ":" in address else socket.AF_INET)
            try:
                await loop.sock_connect(one, (address, port))
            except BaseException:
                one.close()
                raise
            reader, writer = await asyncio.open_connection(sock=one, ssl=context, server_hostname=host if tls else None)
        else:
            reader, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host if tls else None
            )
        try:
            writer.write(said.encode())
            await writer.drain()
            raw = await reader.read(65536)
            while more := await reader.read(65536):
                raw += more
                if len(raw) > 1 << 18:
                    break
        finally:
            writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return Answer(status, body.decode(errors="replace"), loop.time() - began)


async def answers_itself(address: str, port: int) -> bool:
    """Whether a worker answers what it hands on to nobody: no request at all, which it calls bad (400). So it does
    where it speaks TLS: it looks at the first byte (nginx.org, "ngx_http_ssl_module", error 497)."""
    try:
        async with asyncio.timeout(SECONDS * 0.3):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(b"\r\nWATCHKEEPER\r\n\r\n")
                return bool(await reader.read(1))
            finally:
                writer.close()
    except OSError:
        return False


async def ask_by_command(host: Host, address: str, port: int, path: str, name: str) -> str:
    """The same by whatever the host has: curl, wget, or bash alone. Raises WatchkeeperError."""
    done = await host.exec(["sh", "-c", _BY_COMMAND, "sh", address, str(port), name or address, path], timeout=4.0)
    if done.exit_code:
        raise WatchkeeperError(f"stub_status cannot be asked on its host: {done.stderr.strip()[:200]}")
    return done.stdout


async def socket_within(pid: int, family: int) -> socket.socket:
    """A socket in the network namespace of a process of this machine; needs root. Raises OSError.

    A thread of its own enters it, and ends there: no other must ever come back from another's network.
    """
    made: Future[socket.socket] = Future()

    def enter() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(there, _NAMESPACE):
                    raise OSError(ctypes.get_errno(), "its network namespace cannot be entered")
            finally:
                os.close(there)
            made.set_result(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        except OSError as problem:
            made.set_exception(problem)

    threading.Thread(target=enter, name="enter a network namespace", daemon=True).start()
    return await asyncio.wrap_future(made)


def _lenient() -> ssl.SSLContext:
    """It is asked at its address, for which no certificate is made."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def name_of(names: Sequence[str]) -> str:
    """A name by which a `server` block is asked for."""
    return next((name for name in names if name not in ("_", "") and not any(mark in name for mark in "*~^")), "")
