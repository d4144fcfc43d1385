"""The first table of `up`."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.domain.making import alert, reading
from watchkeeper.cli.greeting import at_first_sight, moved
from watchkeeper.domain import Alert, Health, Resource


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


def test_what_is_in_another_environment_by_the_configuration_is_one_line() -> None:
    names = [
        f"docker/{environment}/redis/{name}" for environment, name in (("staging", "a"), ("staging", "b"), ("lab", "c"))
    ]
    assert list(moved([Resource(name, name[-1]) for name in names])) == [
        "2 resources are in staging now, with all of their history.",
        "c is in lab now, with all of its history.",
    ]
