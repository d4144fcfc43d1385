"""The command line of every traffic: `--url … --ledger … --rate 15 --seconds …`; ends on SIGTERM."""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchkeeper_lab.ledger import Ledger
from watchkeeper_lab.pace import LONGEST, RATE

Visit = Callable[[str, Ledger, float, float], Awaitable[None]]
"""Sends so many requests per second to a URL, for so many seconds."""


async def _visit(visit: Visit, url: str, ledger_path: Path, rate: float, seconds: float) -> None:
    with Ledger(ledger_path) as ledger:
        task = asyncio.ensure_future(visit(url, ledger, rate, seconds))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task


def main(visit: Visit) -> None:
    """Read the arguments and visit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second")
    parser.add_argument("--seconds", type=float, default=LONGEST)
    given = parser.parse_args()
    asyncio.run(_visit(visit, given.url, given.ledger, given.rate, given.seconds))
