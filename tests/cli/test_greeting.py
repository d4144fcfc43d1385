"""The first table of `up`."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.domain.making import alert, reading
from watchkeeper.cli.greeting import at_first_sight
from watchkeeper.domain import Alert, Health


def seen(health: Health = Health.HEALTHY, *alerts: Alert, **metrics: float) -> Any:
    return SimpleNamespace(health=health, alerts={one.rule: one for one in alerts}, last=reading(**metrics))


CRASHED = alert(rule="container-killed", status="pending", firing_at=None, health=Health.FAILED)


@pytest.mark.parametrize(
    ("watcher", "shown"),
    [
        (seen(), Health.HEALTHY),
        (seen(Health.HEALTHY, CRASHED), Health.FAILED),
        (seen(Health.HEALTHY, alert(severity="info", health=Health.DEGRADED)), Health.HEALTHY),
        (seen(restarting=1.0), Health.DEGRADED),
        (seen(Health.FAILED, restarting=1.0), Health.FAILED),
        (SimpleNamespace(health=Health.UNKNOWN, alerts={}, last=None), Health.UNKNOWN),
    ],
)
def test_what_has_just_ended_is_not_called_healthy_because_no_alert_has_lasted_yet(watcher: Any, shown: Health) -> None:
    assert at_first_sight(watcher) is shown
