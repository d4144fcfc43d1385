"""Memory that nobody gives back, more with every moment, until the kernel ends the process."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

router = APIRouter()
_held: list[bytes] = []
_leaks: list[asyncio.Task[None]] = []
STEP_SECONDS = 0.1


async def _grow(per_second: int) -> None:
    while True:
        _held.append(b"x" * int(per_second * STEP_SECONDS))
        await asyncio.sleep(STEP_SECONDS)


@router.post("/load/memory")
async def begin(per_second: Annotated[int, Query(ge=1 << 20, le=1 << 30)]) -> dict[str, int]:
    """Leak so many bytes a second from now on."""
    _leaks.append(asyncio.create_task(_grow(per_second)))
    return {"leaks": len(_leaks)}


async def end() -> int:
    """Stop, and give it back."""
    ended = len(_leaks)
    for leak in _leaks:
        leak.cancel()
    _leaks.clear()
    _held.clear()
    return ended
