"""A noisy neighbour: burns this machine's processors and writes to its disk. Prints `ready` when it is at it.

Runs as a process of its own: `python -m watchkeeper_lab.neighbour FOLDER`; ends on SIGTERM, and by itself after ten
minutes.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from contextlib import suppress

SECONDS = 600.0
BLOCK = 1 << 20
MOST = 256 * BLOCK
"""Size at which the file is begun anew, in bytes."""


def burn(until: float) -> None:
    """Keep one processor busy until that moment (Unix time)."""
    number = 1
    while time.time() < until and os.getppid() != 1:
        for _ in range(10_000):
            number = number * 1103515245 % 2147483647


def write(folder: str, until: float) -> None:
    """Write and flush, over and over, until that moment (Unix time)."""
    with tempfile.TemporaryFile(dir=folder) as file:
        while time.time() < until and os.getppid() != 1:
            file.write(os.urandom(BLOCK))
            file.flush()
            with suppress(OSError):
                os.fsync(file.fileno())
            if file.tell() >= MOST:
                file.seek(0)
                file.truncate()


def main(folder: str) -> None:
    """One burner for each processor, and one writer."""
    until = time.time() + SECONDS
    work = [multiprocessing.Process(target=burn, args=(until,), daemon=True) for _ in range(os.cpu_count() or 1)]
    work.append(multiprocessing.Process(target=write, args=(folder, until), daemon=True))
    for one in work:
        one.start()
    print("ready", flush=True)
    for one in work:
        one.join()
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
