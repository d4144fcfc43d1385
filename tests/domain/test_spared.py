"""What a model is not to be blamed for."""

from dataclasses import replace
from datetime import UTC, datetime

from watchkeeper.domain import Alert, Health
from watchkeeper.domain.spared import spared

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
REDIS, RANKER = "docker/lab/redis/cache", "monitor/lab/model/ranker"
SLOW = Alert("alr-1", "model-slow", RANKER, "warning", Health.DEGRADED, "firing", AT, firing_at=AT)


def test_a_model_suffers_from_a_root_that_is_none() -> None:
    assert spared([REDIS], [SLOW]) == (
        "The model ranker (model-slow) suffers from what is wrong with cache: it is cache that is to be mended; "
        "nothing here speaks for retraining ranker.",
    )


def test_a_model_that_is_the_root_or_is_worse_by_itself_is_not_spared() -> None:
    assert spared([RANKER], [SLOW]) == ()
    assert spared([REDIS, RANKER], [SLOW]) == ()
    assert spared([REDIS], [replace(SLOW, rule="model-worse", own_cause=True)]) == ()
    assert spared([REDIS], [replace(SLOW, firing_at=None)]) == (), "it was about to, and never did"
