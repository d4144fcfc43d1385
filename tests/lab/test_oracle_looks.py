"""The oracle looks twice before it calls something wrong."""

from types import SimpleNamespace
from typing import Any

import pytest

from watchkeeper_lab import oracle
from watchkeeper_lab.oracle import Oracle, Place
from watchkeeper_lab.oracle.finding import Finding


class Part:
    """Finds something wrong at its first looks."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.looks = 0

    async def look(self, place: Place) -> Finding:
        self.looks += 1
        return Finding(["status 503"] if self.looks <= self.times else [], {"looks": float(self.looks)})


class Services:
    async def states(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(("times", "healthy"), [(0, True), (1, True), (2, False)])
async def test_only_what_is_wrong_at_both_looks_counts(
    monkeypatch: pytest.MonkeyPatch, times: int, healthy: bool
) -> None:
    doubtful, well = Part(times), Part(0)
    monkeypatch.setitem(oracle.PARTS, "shop", (doubtful, well))
    monkeypatch.setattr(oracle, "AGAIN_SECONDS", 0.0)
    judge = Oracle(SimpleNamespace(stack_name="shop"), None, Services())  # type: ignore[arg-type]
    assert (await judge.judge(with_audit=False)).healthy is healthy
    assert (doubtful.looks, well.looks) == (1 + (times > 0), 1)
