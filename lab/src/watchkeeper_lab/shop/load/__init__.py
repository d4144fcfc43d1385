"""Bugs to practise on, one module each; only where SHOP_LOAD_ENDPOINTS=1. `DELETE /load` ends all of them.

A module has a `router`, and `end`, which gives back whatever its bug holds.
"""

from fastapi import APIRouter

from . import cache, database, errors, memory

PARTS = (cache, database, errors, memory)
router = APIRouter()
for part in PARTS:
    router.include_router(part.router)


@router.delete("/load")
async def end() -> dict[str, int]:
    """End them all; how many of each there were."""
    return {part.__name__.rpartition(".")[2]: await part.end() for part in PARTS}
