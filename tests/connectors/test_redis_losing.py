"""What a restart has cost a Redis, from its readings; and that its page says what its tool does."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.domain.making import CACHE, after, reading

from watchkeeper.connectors.redis import connector, losing
from watchkeeper.connectors.redis.figures import RAISE, SAFE_SHARE, of_info
from watchkeeper.connectors.redis.losing import lost
from watchkeeper.domain import Reading
from watchkeeper.watch.losses import losses


def seen(run: str, keys: float, at: float = 0.0, **more: float) -> Reading:
    return replace(reading(at=after(at), responding=1.0, keys=keys, **more), facts={"run_id": run})


FULL = seen("a", 5000)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (seen("b", 0), "came back empty: its 5,000 keys are gone; nothing of them was kept on disk"),
        (seen("b", 100), "came back without its 5,000 keys; nothing of them was kept on disk (100 are there by now)"),
        (seen("b", 4900), ""),
        (seen("a", 0), ""),  # not restarted: expired, or removed on purpose
        (seen("b", 0, loading=1.0), ""),
        (reading(responding=0.0, keys=0.0), ""),
    ],
)
def test_keys_that_are_gone_after_a_restart_are_told(then: Reading, said: str) -> None:
    assert lost([reading(responding=0.0), FULL], [then]) == said
    assert lost([], [then]) == ""


def test_what_came_back_and_was_removed_since_is_no_loss_of_the_restart() -> None:
    assert lost([FULL], [seen("b", 0, loading=1.0), seen("b", 4900), seen("b", 0)]) == ""


def test_what_was_kept_on_disk_and_did_not_come_back_is_told_without_the_reason() -> None:
    kept = seen("a", 12, persistence_enabled=1.0)
    assert lost([kept], [seen("b", 0)]) == "came back empty: its 12 keys are gone"


def test_it_is_told_of_what_was_before_and_only_where_the_connector_can() -> None:
    ring = [seen("a", 7, at=0), seen("b", 0, at=10)]
    told: Any = SimpleNamespace(resource=CACHE, connector=connector, ring=ring, last=ring[-1])
    other: Any = SimpleNamespace(resource=CACHE, connector=object(), ring=ring, last=ring[-1])
    assert losses([CACHE.id, "gone"], {CACHE.id: told}, after(5)) == (
        "cache came back empty: its 7 keys are gone; nothing of them was kept on disk",
    )
    assert losses([CACHE.id], {CACHE.id: other}, after(5)) == ()
    assert losses([CACHE.id], {CACHE.id: told}, after(20)) == ()


def test_the_page_and_the_tool_say_the_same_rule() -> None:
    page = (Path(losing.__file__).parent / "runbooks" / "memory-full.md").read_text()
    assert "60 % of" in page
    assert SAFE_SHARE == 0.6
    assert "at most to four" in page
    assert RAISE == 4
    told = {"used_memory": "1", "maxmemory": str(32 << 20)}
    assert of_info(told, 8 << 30)["safe_maxmemory_bytes"] == 128 << 20
    assert of_info(told, 100 << 20)["safe_maxmemory_bytes"] == 60 << 20
