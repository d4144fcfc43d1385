"""The monitors of this process: their folding threads, their forked children, the interpreter's end."""

import atexit
import os
import sys
import threading
import weakref
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queue import SimpleQueue

    from watchkeeper_monitor.monitor import Monitor

LOADING = threading.RLock()
"""Held by our threads while they load modules: a child that is forked in the middle would find half of them."""
PATIENCE = 5.0
"""Seconds that a fork waits for that at most."""
EVERY = 1.0
"""Seconds after which what waits is folded, however little it is."""
ALIVE: "weakref.WeakSet[Monitor]" = weakref.WeakSet()


def run(of: "weakref.ref[Monitor]", wake: "SimpleQueue[bool]") -> None:
    """The thread of one monitor: ends with it."""
    while True:
        go_on = True
        with suppress(Empty):
            go_on = wake.get(timeout=EVERY)
        monitor = of()
        if monitor is None or not go_on:
            return
        if monitor._rows or monitor._events:  # pyright: ignore[reportPrivateUsage]
            monitor.flush()
        del monitor


def closed_at_the_end(monitor: "Monitor") -> None:
    """Also in children of multiprocessing, which end without `atexit`."""
    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, _close, (weakref.ref(monitor),), exitpriority=100)


def _close(of: "weakref.ref[Monitor]") -> None:
    if (monitor := of()) is not None:
        monitor.close()


_waited: dict[int, bool] = {}
"""Whether each thread that is forking got `LOADING`."""


def _before_fork() -> None:
    _waited[threading.get_ident()] = LOADING.acquire(timeout=PATIENCE)


def _after_fork() -> None:
    if _waited.pop(threading.get_ident(), False):
        LOADING.release()


def _in_child() -> None:
    _waited.clear()
    LOADING._at_fork_reinit()  # pyright: ignore  # whoever held it is not there any more, as for locks of `logging`
    for monitor in list(ALIVE):
        monitor._begin()  # pyright: ignore[reportPrivateUsage]


def _at_exit() -> None:
    for monitor in list(ALIVE):
        monitor.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
atexit.register(_at_exit)
