"""A rule with another threshold."""

from typing import Any

import pytest

from watchkeeper.connectors.redis import connector
from watchkeeper.domain import ConfigurationError
from watchkeeper.watch.rulebook import Change, Rulebook


def test_a_share_stays_a_share() -> None:
    store: Any = None  # it keeps nothing
    rules = Rulebook(connector.rules, {"redis": connector.sample}, store)
    full = rules.rule("redis-memory-full")

    assert "used_memory_ratio > 0.97" in (rules.checked(full, Change(), 0.97).when or "")
    with pytest.raises(ConfigurationError, match="a share between 0 and 1") as refused:
        rules.checked(full, Change(), 97)
    assert "0.97" in str(refused.value.next_step)
