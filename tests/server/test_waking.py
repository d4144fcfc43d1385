"""What fails again and again by an error of ours is called less and less often; after the end nothing is."""

import asyncio
from itertools import pairwise

import pytest

from watchkeeper import waking
from watchkeeper.waking import Waking


async def test_what_fails_and_wakes_itself_is_called_after_longer_and_longer_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waking, "FIRST_PAUSE", 0.05)
    clock = asyncio.get_running_loop().time
    called: list[float] = []
    mended = asyncio.Event()

    async def heal(key: str) -> None:
        called.append(clock())
        if len(called) < 5:
            woken.wake(key)
            raise RuntimeError("an error of ours")
        mended.set()

    woken = Waking(heal)
    woken.wake("inc-1")
    async with asyncio.timeout(10):
        await mended.wait()
    pauses = [later - earlier for earlier, later in pairwise(called)]
    assert all(pause >= 0.05 * 2**n for n, pause in enumerate(pauses)), pauses
    await woken.stop()


async def test_what_was_woken_again_before_the_end_is_not_called_after_it() -> None:
    called: list[str] = []
    begun = asyncio.Event()

    async def heal(key: str) -> None:
        called.append(key)
        begun.set()
        await asyncio.Event().wait()

    woken = Waking(heal)
    woken.wake("inc-1")
    await begun.wait()
    woken.wake("inc-1")
    await woken.stop()
    await asyncio.sleep(0)
    assert called == ["inc-1"]
