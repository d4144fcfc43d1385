"""How processes of this machine ended, as the kernel tells it (its process connector, over netlink): needs root.

Only a parent is told how its child ended; the kernel also tells those who listen here. Without it, a plain process that
is gone is gone, and nobody knows why.
"""

import asyncio
import contextlib
import signal
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable

from watchkeeper.domain import StopCause

_CONNECTOR = 11
_GROUP = 1
_EXIT = 0x8000_0000
_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=IIIIHHI")
_EVENT = struct.Struct("=IIQIIII")
_AT = _HEADER.size + 20
_KEPT = 8192
_ATTACH_FILTER = 26
_BUFFER_FORCED = 33
"""SO_RCVBUFFORCE: for root, over the machine's limit for sockets (`net.core.rmem_max`, 208 KiB as a rule)."""
_BUFFER = 8 << 20
"""Bytes that the kernel may hold for us: about ten thousand ends, while builds and scripts of others end hundreds of
processes a second and we are busy with something else. An end that is lost makes a service wait for a person."""
_POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Exits:
    """Listens from `start` on. Without the right to, `why` says so and nothing is known."""

    def __init__(self, heard: Callable[[int], None]) -> None:
        self.why = ""
        self._heard = heard
        self._socket: socket.socket | None = None
        self._codes: OrderedDict[int, int] = OrderedDict()

    def start(self) -> None:
        """Begin to listen; `why` is set where that is not possible."""
        opened = None
        try:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _CONNECTOR)
            opened.bind((0, _GROUP))
            for option in (socket.SO_RCVBUF, _BUFFER_FORCED):
                with contextlib.suppress(OSError):
                    opened.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            _only_exits(opened)
            port = opened.getsockname()[0]
            size = _HEADER.size + _MESSAGE.size
            opened.send(_HEADER.pack(size, 3, 0, 0, port) + _MESSAGE.pack(1, 1, 0, 0, 4, 0, 1))
        except OSError as problem:
            self.why = f"how a process ended cannot be heard ({problem.strerror}); it needs root"
            if opened:
                opened.close()
            return
        self._socket = opened
        asyncio.get_running_loop().add_reader(opened, self.drain)

    def stop(self) -> None:
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def drain(self) -> None:
        """Take in everything that was told until now."""
        while self._socket:
            try:
                data = self._socket.recv(4096)
            except BlockingIOError:
                return
            except OSError:  # more came than the kernel holds for us: what was lost stays unknown
                continue
            if len(data) < _AT + _EVENT.size:
                continue
            what, _, _, pid, group, code, _ = _EVENT.unpack_from(data, _AT)
            if what == _EXIT and pid == group:
                self._codes.pop(pid, None)
                self._codes[pid] = code
                if len(self._codes) > _KEPT:
                    self._codes.popitem(last=False)
                self._heard(pid)

    def code(self, pid: int) -> int | None:
        """The wait status with which the process of that number ended last; None where it was not heard."""
        self.drain()
        return self._codes.get(pid)


def cause(status: int, *, oom: bool) -> tuple[StopCause, int]:
    """Why a process ended, and its exit code as a shell counts it, from its wait status.

    A plain process is stopped by asking it (SIGTERM) and then ends in peace: exit code 0, or that signal itself.
    """
    number = status & 0x7F
    if number == 0:
        code = (status >> 8) & 0xFF
        return ("on_purpose" if code == 0 else "exited"), code
    if number == signal.SIGKILL:
        return ("oom" if oom else "killed"), 128 + number
    return ("on_purpose" if number in _POLITE else "exited"), 128 + number


def _only_exits(opened: socket.socket) -> None:
    """A filter in the kernel: of thousands of events a second on a busy machine, only ends of whole processes."""
    from ctypes import addressof, create_string_buffer

    little = sys.byteorder == "little"
    wanted = int.from_bytes(_EXIT.to_bytes(4, "little"), "big") if little else _EXIT
    what, pid, group = _AT, _AT + 16, _AT + 20
    code = [
        (0x20, 0, 0, what),  # A = what
        (0x15, 0, 5, wanted),  # an exit, else drop
        (0x20, 0, 0, pid),  # A = pid
        (0x07, 0, 0, 0),  # X = A
        (0x20, 0, 0, group),  # A = process
        (0x1D, 0, 1, 0),  # the same, else drop: a thread
        (0x06, 0, 0, 0xFFFF_FFFF),
        (0x06, 0, 0, 0),
    ]
    program = create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", len(code), addressof(program)))
