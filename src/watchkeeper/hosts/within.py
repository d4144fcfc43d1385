"""Sockets in the network namespace of another process on this machine: one belongs for good to where it was made."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def within(pid: int, make: Callable[[], T]) -> T:
    """What `make` makes in the network namespace of a process (man 2 setns; needs root). It blocks.

    The namespace is entered by a thread that does nothing else and ends, so that no other code of ours is ever there.
    Raises OSError: PermissionError without root, FileNotFoundError where the process is gone.
    """
    made: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(there, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(there)
            made.append(make())
        except BaseException as problem:
            failed.append(problem)

    thread = threading.Thread(target=run, name=f"network of {pid}", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def is_own(pid: int) -> bool:
    """Whether a process is in the very network namespace that we are in. Raises OSError."""
    return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
