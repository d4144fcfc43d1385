"""What a benchmark that takes times in milliseconds is asked, and how it tells what it found."""

import argparse
import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any


def tell(what: str | None, measured: Callable[[int], Awaitable[dict[str, Any]]], times: int) -> None:
    """Measure so many times, or as many as `--times` says; print, and write where `--json` asks for it."""
    asked = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--times", type=int, default=times)
    asked.add_argument("--json", type=Path)
    given = asked.parse_args()

    async def once() -> dict[str, Any]:
        return await measured(given.times)

    told = {"times": given.times, "milliseconds": asyncio.run(once()), "load": os.getloadavg()[0]}
    print(json.dumps(told, indent=2))
    if given.json:
        given.json.write_text(json.dumps(told, indent=2) + "\n")
