"""`watchkeeper` as it is typed in a shell, quickly: what stands for it on the path has it done by a fork of what has
loaded it already (`tests/program.py`), with its own folder, environment, input and output, and ends as that does."""

import marshal
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.program import Program, ready

STANDS_FOR_IT = """#!{python} -IS
import marshal, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({door!r})
    socket.send_fds(asked, [b"-"], [0, 1, 2])
    asked.sendall(marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ))))
    asked.shutdown(socket.SHUT_WR)
    sys.exit(int(asked.recv(8) or 1))
"""


@contextmanager
def typed() -> Iterator[Path]:
    """A folder with `watchkeeper` in it, to be first on the path."""
    with tempfile.TemporaryDirectory(prefix="typed-") as folder, socket.socket(socket.AF_UNIX) as door:
        command = Path(folder) / "watchkeeper"
        door.bind(str(Path(folder) / "door"))
        door.listen()
        command.write_text(STANDS_FOR_IT.format(python=sys.executable, door=door.getsockname()))
        command.chmod(0o755)
        ready()
        opens = threading.Thread(target=_open, args=(door,), daemon=True)
        opens.start()
        try:
            yield Path(folder)
        finally:
            door.shutdown(socket.SHUT_RDWR)
            opens.join()


def _open(door: socket.socket) -> None:
    with suppress(OSError):  # it was closed
        while True:
            threading.Thread(target=_do, args=(door.accept()[0],), daemon=True).start()


def _do(asked: socket.socket) -> None:
    with asked:
        _, streams, *_ = socket.recv_fds(asked, 1, 3)
        with asked.makefile("rb") as said:
            arguments, folder, environment = marshal.load(said)
        try:
            program = Program(*arguments, environment=environment, folder=Path(folder), streams=streams)
        finally:
            for number in streams:
                os.close(number)
        asked.sendall(str(program.wait() % 256).encode())
